# SPDX-License-Identifier: Apache-2.0
"""How the page asks link's loop for something: it hands in a deed and waits for the answer. Nothing else is shared."""

import asyncio
import contextlib
import queue
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nigiwai.clock import boot_ns
from nigiwai.link.status.deeds import Deed

PATIENCE_S = 8.0
MOST_WAITING = 64
"""Deeds that may wait at once; link's loop takes them all at least four times a second."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a deed: `error` is a word of the page's list (words of a refusal), empty where it was done."""

    error: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A deed, who asks (a short digest of the session), and when it was handed in (boot time)."""

    deed: Deed
    who: str
    boot_ms: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    asked: Asked
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answer]"


class Desk:
    """Between the page's thread and link's loop."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()

    async def ask(self, deed: Deed, who: str) -> Answer:
        """What link's loop answers; `busy` where it does not in time. Called in the page's loop."""
        if self._waiting.qsize() >= MOST_WAITING:
            return Answer("busy")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.put(_Waiting(Asked(deed, who, boot_ns() // 1_000_000), loop, answer))
        try:
            return await asyncio.wait_for(answer, PATIENCE_S)
        except TimeoutError:
            return Answer("busy")

    def serve(self, carry_out: Callable[[Asked], Answer]) -> bool:
        """Carries out what waits; whether there was anything. Called in link's loop."""
        served = False
        while not self._waiting.empty():
            waiting = self._waiting.get_nowait()
            served = True
            answer = carry_out(waiting.asked)
            with contextlib.suppress(RuntimeError):  # the page's loop has ended
                waiting.loop.call_soon_threadsafe(_settle, waiting.answer, answer)
        return served


def _settle(waiting: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not waiting.done():
        waiting.set_result(answer)
