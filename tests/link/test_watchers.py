# SPDX-License-Identifier: Apache-2.0
"""What twenty phones that watch the page cost link: the ratio of its processor time with and without them."""

import contextlib
import http.client
import socket
import threading
from pathlib import Path

from tests.conftest import PROOF
from tests.link.harness import FakeEye, Link, wait_for

PHONES = 20
WINDOW_S = 60.0 if PROOF else 6.0
BIN_EVERY_S = 1.0
"""Five times as often as a real eye: every bin makes the page new for all."""

MOST = 0.01
"""Of one core here. A Raspberry Pi 4's core does about a quarter of the work of one of a common desktop (Geekbench 6,
single core: 300 against 1,300 and more), so that this is within 5 % of one of its cores."""


def test_twenty_phones_cost_little(link: Link, eye: FakeEye) -> None:
    link.start()
    wait_for(lambda: _answers(link.page_port), "the page")
    eye.pump()
    alone = _busy_share(link, eye)
    with contextlib.ExitStack() as stack:
        heard = [_Phone(link.page_port, stack) for _ in range(PHONES)]
        wait_for(lambda: all(phone.events for phone in heard), "every phone to hear something")
        watched = _busy_share(link, eye)
        told = min(phone.events for phone in heard)
    print(  # noqa: T201 # the figure of docs/verification.md
        f"link alone {100 * alone:.2f} % of a core, with {PHONES} phones {100 * watched:.2f} %, {told} events each"
    )
    assert told >= WINDOW_S / BIN_EVERY_S / 2, "they were told"
    assert watched - alone <= MOST


class _Phone:
    """One that watches."""

    def __init__(self, port: int, stack: contextlib.ExitStack) -> None:
        self.events = 0
        self._asking = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._asking.request("GET", "/api/events")
        self._socket = self._asking.sock.dup()  # http.client lets go of its own when the answer ends the connection
        self._answer = self._asking.getresponse()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        stack.callback(self._hang_up)

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := self._answer.readline():
                self.events += line.startswith(b"data:")

    def _hang_up(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._answer.close()
        self._asking.close()
        self._socket.close()


def _busy_share(link: Link, eye: FakeEye) -> float:
    """Processor time of link over wall time, while eye counts."""
    assert link.process is not None
    schedstat = Path(f"/proc/{link.process.pid}/task")
    before = _on_core_ns(schedstat)
    pause = threading.Event()
    for _ in range(round(WINDOW_S / BIN_EVERY_S)):
        eye.count(1, 1)
        eye.pump()
        pause.wait(BIN_EVERY_S)
    return (_on_core_ns(schedstat) - before) / 1e9 / WINDOW_S


def _on_core_ns(tasks: Path) -> int:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as asking:
        asking.request("GET", "/healthz")
        with contextlib.closing(asking.getresponse()) as answer:
            return answer.status == 200
    return False
