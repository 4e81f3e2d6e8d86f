# SPDX-License-Identifier: Apache-2.0
"""Where link's loop puts what the page shows, and the page's streams wait for it. The only thing the two share."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from nigiwai.link.mqtt import sparkplug


def _shown(topic: str, payload: bytes) -> dict[str, str]:
    if topic.startswith(f"{sparkplug.NAMESPACE}/"):
        return {"topic": topic, "payload": sparkplug.readable(payload), "bytes": payload.hex()}
    return {"topic": topic, "payload": payload.decode()}


class Board:
    """The latest snapshot, and a way to wait for the next one. `show` and `close` may be called from any thread."""

    def __init__(self) -> None:
        self._latest: tuple[int, str] = (0, "{}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._sent: dict[str, bytes] = {}
        self.closed = False

    def show_sent(self, sent: Mapping[str, bytes]) -> None:
        """The messages that went out last, by topic."""
        self._sent = dict(sent)

    def sent(self) -> list[dict[str, str]]:
        """The message that went out last under each topic, as its exact text; where it is none, what it says as text,
        and its exact bytes in hexadecimal digits.
        """
        return [_shown(topic, payload) for topic, payload in sorted(self._sent.items())]

    @property
    def latest(self) -> tuple[int, str]:
        """A number that grows with each snapshot, and the snapshot as JSON."""
        return self._latest

    def show(self, seen: Mapping[str, Any]) -> None:
        """Shows a new snapshot and wakes whoever waits."""
        text = json.dumps(seen, ensure_ascii=False, separators=(",", ":"))
        self._latest = (self._latest[0] + 1, text)
        self._wake()

    def close(self) -> None:
        """Ends all streams."""
        self.closed = True
        self._wake()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The page's loop; called in it before the first wait."""
        self._loop, self._changed = loop, asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> bool:
        """Waits for a snapshot newer than `seen`; False if none came in time."""
        changed = self._changed
        if changed is None or self._latest[0] > seen or self.closed:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the page's loop has ended
                self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        """Wakes all who wait on this event; the next wait on a fresh one."""
        changed, self._changed = self._changed, asyncio.Event()
        if changed is not None:
            changed.set()
