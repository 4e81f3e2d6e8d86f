# SPDX-License-Identifier: Apache-2.0
"""Builds link, runs it, and stops it in reverse. The loop has one thread; the page and paho have their own."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nigiwai import __version__
from nigiwai.door.listener import Listener
from nigiwai.enrol.trouble import Trouble
from nigiwai.link.clock import read_clock
from nigiwai.link.keeper import Keeper
from nigiwai.link.ledger import Ledger, Rules
from nigiwai.link.messages import Cause
from nigiwai.link.mqtt.publisher import Publisher
from nigiwai.link.mqtt.scada import Node
from nigiwai.link.mqtt.sparkplug import Ids
from nigiwai.link.report import Reporter
from nigiwai.link.salvage import open_or_salvage
from nigiwai.link.status.board import Board
from nigiwai.link.status.desk import Desk
from nigiwai.link.status.server import serving
from nigiwai.link.status.snapshot import without_ledger
from nigiwai.link.store.file import FullError, ReadOnlyError
from nigiwai.link.topics import Topics
from nigiwai.link.traits import TableOutbox
from nigiwai.link.zone import load_zone
from nigiwai.notify import notify
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 0.25
BUSY_POLL_S = 0.005
DRAIN_S = 5.0
OPEN_RETRY_S = 2.0
_NS_PER_S = 1_000_000_000


def rules_of(settings: Settings) -> Rules:
    """The ledger's rules that the settings give."""
    ledger = settings.ledger
    return Rules(
        step_ns=ledger.interval_s * _NS_PER_S,
        trust_system=ledger.clock == "system",
        keep_ns=ledger.keep_days * 86_400 * _NS_PER_S,
        size_bytes=ledger.size_mib * 1_048_576,
    )


def run(settings: Settings, stop: threading.Event | None = None) -> None:
    """Runs link until `stop` is set, or SIGTERM or SIGINT comes where there is none.

    Raises NigiwaiError when a part that must live cannot.
    """
    with ExitStack() as stack:
        asked_to_stop = stop or stack.enter_context(_signals())
        keeper = _build(settings, stack, asked_to_stop)
        if keeper is None:
            return
        log.info("link %s, settings %s, ledger %s", __version__, settings.sha256[:12], settings.ledger.path)
        notify("READY=1")
        while not asked_to_stop.is_set() and not keeper.restart_asked:
            keeper.step(BUSY_POLL_S if keeper.busy else POLL_S)
            notify("WATCHDOG=1")
        notify("STOPPING=1")


def _build(settings: Settings, stack: ExitStack, stop: threading.Event) -> Keeper | None:
    """Every part, started in order; `stack` stops them in reverse. None if `stop` was set before all stood."""
    listener = Listener(settings.door.socket)
    stack.callback(listener.close)
    board, desk = Board(), Desk()
    if settings.page.enabled:
        stack.enter_context(serving(settings, board, desk))
    opened = _open_patiently(settings, board, stop)
    if opened is None:
        return None
    ledger, salvaged = opened
    stack.callback(ledger.close)
    reporter = Reporter(settings, load_zone(settings.ledger.timezone))
    publisher = _publisher(settings, ledger, reporter)
    scada = _scada(settings, ledger, reporter)
    keeper = Keeper(
        settings, listener, ledger, publisher, reporter, board, read_clock, desk=desk, scada=scada, salvaged=salvaged
    )
    stack.callback(keeper.stop, DRAIN_S)
    return keeper


def _open_patiently(settings: Settings, board: Board, stop: threading.Event) -> tuple[Ledger, bool] | None:
    """The ledger; where the disk is full or read-only, as soon as it is not. Meanwhile the page says so, and eye keeps
    its bins.

    Raises LedgerError where waiting does not help.
    """
    while not stop.is_set():
        try:
            return open_or_salvage(settings.ledger.path, rules_of(settings), read_clock())
        except (FullError, ReadOnlyError) as e:
            log.error("%s%s", "" if isinstance(e, FullError) else f"{Trouble.CARD}: ", e)
            cause = Cause.STORAGE_FULL if isinstance(e, FullError) else Cause.STORAGE_FAILED
            board.show(without_ledger(settings, load_zone(settings.ledger.timezone), time.time_ns(), cause))
        notify("READY=1")
        notify("WATCHDOG=1")
        stop.wait(OPEN_RETRY_S)
    return None


def _publisher(settings: Settings, ledger: Ledger, reporter: Reporter) -> Publisher | None:
    if not settings.mqtt.enabled:
        return None
    topics = Topics(settings.device.site, settings.device.name)
    return Publisher(settings.mqtt, topics, ledger, reporter.counts, TableOutbox(settings, ledger))


def _scada(settings: Settings, ledger: Ledger, reporter: Reporter) -> Node | None:
    if not settings.sparkplug.enabled:
        return None
    ids = Ids(settings.device.site, settings.device.name)
    return Node(settings.sparkplug, ids, ledger, reporter.counts, [g.name for g in settings.gate])


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
