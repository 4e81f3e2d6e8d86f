# SPDX-License-Identifier: Apache-2.0
"""Eye as a process: builds the stages, feeds them frames, and hands closed bins to the door.

One thread counts; a live camera has a second one that only keeps the newest frame. Whatever fails here ends the
process, after what was counted has been handed over; systemd starts it again.
"""

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Iterator

from nigiwai import __version__
from nigiwai.clock import BootNs, boot_id, boot_ns
from nigiwai.door.caller import Caller
from nigiwai.door.records import Bin, CameraKind, Flag, Hello
from nigiwai.door.tables import EventOver
from nigiwai.errors import CameraError
from nigiwai.eye.assemble import camera_fit, open_detector, open_pipeline
from nigiwai.eye.bins import BinBuilder
from nigiwai.eye.cameras import Camera, open_camera
from nigiwai.eye.detector import Detector
from nigiwai.eye.gates import Gates
from nigiwai.eye.gauge import Gauger
from nigiwai.eye.ground import measured
from nigiwai.eye.keepsake import VIEW_NAME, open_keepsake
from nigiwai.eye.known_view import KnownView
from nigiwai.eye.latest import Latest, NoPictureYet
from nigiwai.eye.lookout import Lookout
from nigiwai.eye.orders import Orders
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.types import Frame
from nigiwai.eye.visitors import Visitors, maybe_visitors
from nigiwai.eye.vitals import VitalsMeter, resident_kib
from nigiwai.eye.zones import ZoneKeeper
from nigiwai.notify import notify
from nigiwai.settings import Settings

log = logging.getLogger(__name__)

Sums = dict[str, dict[str, int]]

_NEXT_FRAME_S = 0.5
"""How long the loop waits for a frame before it looks after the bins and the door."""

_VITALS_NS = 2_000_000_000
_FAREWELL_S = 5.0
"""How long eye waits at its end until link has committed everything."""


def run(settings: Settings, stop: threading.Event) -> Sums:
    """Counts until `stop` is set or a recording ends; returns how many passed each gate.

    Raises NigiwaiError where the camera, the model or the settings end the counting.
    """
    detector = open_detector(settings)
    view = KnownView(open_keepsake(name=VIEW_NAME), settings)
    pipeline = open_pipeline(settings, detector, lookout=view.lookout)
    try:
        return _run(settings, stop, detector, pipeline, view)
    except CameraError:
        _say_lost(settings, detector)
        raise


def _run(settings: Settings, stop: threading.Event, detector: Detector, pipeline: Pipeline, view: KnownView) -> Sums:
    with _opened(settings) as camera:
        caller = Caller(settings.door.socket, _hello(settings, detector, camera.kind))
        log.info("nigiwai %s, model %s, settings %s", __version__, detector.entry.sha256[:12], settings.sha256[:12])
        gauger = Gauger(settings.view, settings.camera.fov_deg)
        orders = Orders(settings.gate, camera_fit(settings)[1], settings.zone, k=settings.traits.k, gauger=gauger)
        eye = Eye(settings, camera, pipeline, caller, orders)
        eye.zones = ZoneKeeper(settings.zone)
        eye.visitors, eye.view = maybe_visitors(settings, caller), view
        try:
            eye.count_until(stop)
        finally:
            eye.finish()
    return eye.sums


class Eye:
    """The loop from frames to bins."""

    def __init__(self, settings: Settings, camera: Camera, pipeline: Pipeline, caller: Caller, orders: Orders) -> None:
        self._camera, self._pipeline, self._caller, self._orders = camera, pipeline, caller, orders
        self._gates = [g.name for g in settings.gate]
        self._measured = settings.view
        self._replaying = settings.camera.source == "recording" and settings.camera.pace == "fast"
        self._run = caller.run
        self._builder: BinBuilder | None = None
        self._meter = VitalsMeter()
        self._vitals_due = 0
        self.zones = ZoneKeeper(())
        self._last_at = BootNs(0)
        self.visitors: Visitors | None = None
        self.view: KnownView | None = None
        self.ended = False
        self.sums: Sums = {gate: {"in": 0, "out": 0} for gate in self._gates}

    def count_until(self, stop: threading.Event) -> None:
        """Counts frame by frame. Raises what the camera raises when it has no more to give."""
        notify("READY=1")
        while not stop.is_set():
            try:
                frame = self._camera.read(_NEXT_FRAME_S)
            except NoPictureYet:
                self._wait_on()
                continue
            if frame is None:
                self.ended = True
                log.info("the recording is over")
                return
            self._count(frame)

    def finish(self) -> None:
        """Closes the last bin and waits until link has committed everything, for a while."""
        if self._builder is not None:
            self._hand_over(self._builder.finish(self._now()))
        if self._estimating is not None:
            # A recording that is over was the whole event; a service that is stopped may go on in a moment.
            (self._estimating.end if self.ended else self._estimating.pause)(self._now())
        deadline = boot_ns() + _FAREWELL_S * 1e9
        while (self._caller.unacknowledged or self._caller.tables) and boot_ns() < deadline:
            self._caller.update(boot_ns() / 1e9)
            self._caller.wait(0.1)
        if self._caller.unacknowledged:
            log.warning("link is away: %d bins were counted and could not be handed over", self._caller.unacknowledged)
        self._caller.close()

    def _count(self, frame: Frame) -> None:
        began = boot_ns() if self._replaying else frame.at
        builder = self._builder or BinBuilder(self._run, self._gates, frame.at)
        self._builder = builder
        before = self._pipeline.inferred
        self._pipeline.every_frame = self._orders.aiming(frame.at)
        crossings = self._pipeline.update(frame)
        for crossing in crossings:
            self.sums[crossing.gate][crossing.direction] += 1
        looked = self._pipeline.inferred > before
        if Flag.MOVED in self._pipeline.flags:
            self._orders.gauger.forget()
        self._orders.see(crossings, self._pipeline.tracks, (frame.width, frame.height), frame.at, looked=looked)
        if looked:
            self.zones.see(self._pipeline.tracks, frame.at, (frame.width, frame.height))
        self._last_at = frame.at
        self._meter.update(boot_ns(), (boot_ns() - began) / 1e6)
        self._hand_over(builder.update(frame.at, crossings, self._pipeline.flags))
        if self.view is not None:
            self.view.keep(frame.at)
        notify("WATCHDOG=1")
        if self._estimating is not None:
            self._estimating.see(self._pipeline, crossings, frame, looked=looked)
            self._estimating.tell(self._orders)

    @property
    def _estimating(self) -> Visitors | None:
        """Who came, where it may be estimated: not before link says that the day of the notice is recorded."""
        return self.visitors if self._orders.notice_hung else None

    def _wait_on(self) -> None:
        """No frame for a while: time passes all the same."""
        if self._builder is not None and not self._replaying:
            self._hand_over(self._builder.tick(boot_ns()))
        self._caller.update(boot_ns() / 1e9)
        self._serve_staff()
        if self._estimating is not None and not self._replaying:
            self._estimating.tick(boot_ns())

    def _serve_staff(self) -> None:
        """Carries out what staff asked through link, and answers."""
        now = self._now()
        for order in self._caller.take_orders():
            if not isinstance(order, EventOver):
                self._orders.take(order, now)
            elif self._estimating is not None:
                self._estimating.end(now)
        if self._orders.changed:
            self._orders.changed = False
            self._change_gates(now)
        for told in self._orders.due(now):
            self._caller.tell(told)

    def _change_gates(self, now: BootNs) -> None:
        gates = self._orders.gates
        self.zones.change(self._orders.zones, now)
        self._gates = [g.name for g in gates]
        self.sums |= {name: {"in": 0, "out": 0} for name in self._gates if name not in self.sums}
        lookout = Lookout(gates) if self.view is None else self.view.change_gates(gates)
        self._pipeline.change_gates(lambda size: Gates(gates, size, measured(self._measured, size)), lookout)
        if self._builder is not None:
            for closed in self._builder.change_gates(self._gates, now):
                self._caller.add(closed)
        log.info("other gates are in force: %d, and %d zones", len(gates), len(self._orders.zones))

    def _hand_over(self, bins: list[Bin]) -> None:
        for closed in bins:
            self._caller.add(closed)
        now = boot_ns()
        self._caller.update(now / 1e9)
        self._serve_staff()
        if now >= self._vitals_due:
            self._vitals_due = now + _VITALS_NS
            self._tell_vitals(now)
        if (stats := self.zones.maybe_stats(now)) is not None:
            self._caller.tell(stats)

    def _tell_vitals(self, now: BootNs) -> None:
        self._caller.tell(
            self._meter.vitals(
                now,
                dropped=self._camera.dropped if isinstance(self._camera, Latest) else 0,
                inferred=self._pipeline.inferred,
                memory_kib=resident_kib(),
                unacknowledged=self._caller.unacknowledged,
                lost=self._caller.lost,
                flags=self._pipeline.flags,
            )
        )

    def _now(self) -> BootNs:
        return self._last_at if self._replaying else boot_ns()


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Camera]:
    """The camera; a live one, or a recording at its own pace, gives its newest frame only."""
    camera = open_camera(settings.camera, fit=camera_fit(settings))
    source = camera if settings.camera.source == "recording" and settings.camera.pace == "fast" else Latest(camera)
    try:
        yield source
    finally:
        source.close()


def _say_lost(settings: Settings, detector: Detector) -> None:
    """Tells link, where it listens, that there is no camera: it goes on saying so while eye is started again and again.

    Every time as the same run, which counts nothing.
    """
    kind = CameraKind(settings.camera.source)
    run = hashlib.sha256(f"no camera {boot_id()}".encode()).hexdigest()[:32]
    caller, now = Caller(settings.door.socket, _hello(settings, detector, kind, run)), boot_ns()
    caller.update(now / 1e9)
    nothing = {"dropped": 0, "inferred": 0, "unacknowledged": 0, "lost": 0}
    caller.tell(VitalsMeter().vitals(now, **nothing, memory_kib=resident_kib(), flags=(Flag.CAMERA_LOST,)))
    caller.close()


def _hello(settings: Settings, detector: Detector, camera: CameraKind, run: str = "") -> Hello:
    return Hello(
        run=run or os.urandom(16).hex(),
        boot=boot_id(),
        version=__version__,
        model=detector.entry.name,
        model_sha256=detector.entry.sha256,
        settings_sha256=settings.sha256,
        camera=camera,
    )
