# SPDX-License-Identifier: Apache-2.0
"""What is well on this machine and what is not: one finding a thing, each with what to do."""

import contextlib
import math
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nigiwai import settings as settings_file
from nigiwai.errors import BrokerError, NigiwaiError
from nigiwai.settings import Gate, Settings

_FIRST_FRAME_S = 10.0
_LOW_DISK_MIB = 500
"""A year of one-minute records of one gate is about 120 MiB; below this much free space link begins to merge."""


class Verdict(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One thing, its verdict, and what was found or what to do."""

    thing: str
    verdict: Verdict
    text: str
    exit_code: int = 0


def check(settings_path: Path, only: Collection[str] = ()) -> Iterator[Finding]:
    """Every finding, as it is made, or those of some things only.

    Without usable settings there is nothing else to look at.
    """
    try:
        settings = settings_file.load(settings_path)
    except NigiwaiError as e:
        yield Finding("settings", Verdict.FAIL, str(e), e.exit_code)
        return
    yield _settings(settings)
    looks: dict[str, Callable[[Settings], Finding]] = {
        "model": _model,
        "camera": _camera,
        "broker": _broker,
        "clock": _clock,
        "disk": _disk,
    }
    for thing, look in looks.items():
        if only and thing not in only:
            continue
        try:
            yield look(settings)
        except NigiwaiError as e:
            yield Finding(thing, Verdict.FAIL, str(e), e.exit_code)


def _settings(settings: Settings) -> Finding:
    if not settings.gate:
        return Finding("settings", Verdict.FAIL, "no [[gate]] is set, so nobody is counted; draw one", 3)
    names = ", ".join(g.name + _width(settings, g) for g in settings.gate)
    return Finding("settings", Verdict.OK, f"gates {names}; digest {settings.sha256[:12]}")


def _width(settings: Settings, gate: Gate) -> str:
    """How wide a gate is on the floor, where the view is measured."""
    from nigiwai.eye.ground import measured

    size = (settings.camera.width_px, settings.camera.height_px)
    ground = measured(settings.view, size)
    if ground is None:
        return ""
    metres = ground.length_m([(x * size[0], y * size[1]) for x, y in gate.line])
    if math.isnan(metres):
        return " (reaches above the horizon: draw it on the floor)"
    return f" ({metres:.2f} m wide, +-{metres * ground.scale_sd:.2f})"


def _model(settings: Settings) -> Finding:
    from nigiwai.eye.assemble import camera_fit, open_detector

    detector = open_detector(settings)
    width, height = camera_fit(settings)
    told = f"{detector.entry.name} {width}x{height}, hash {detector.entry.sha256[:12]} as expected"
    return Finding("model", Verdict.OK, told + _ages(settings))


def _ages(settings: Settings) -> str:
    """By which model ages are told, or why they are not."""
    from nigiwai.eye.assemble import open_trait_model
    from nigiwai.eye.stature import MOST_TILT_DEG

    view = settings.view
    if not settings.traits.enabled:
        return ""
    if view is None:
        return "; nobody's age or company is estimated: [view] is not set (`nigiwai view` measures it)"
    traits = open_trait_model(settings)  # eye opens it from any view, and would not start with a bad one
    if view.tilt_deg > MOST_TILT_DEG:
        steep = f"view.tilt_deg = {view.tilt_deg:g}; heights can be measured up to {MOST_TILT_DEG:g}"
        return f"; nobody's age is estimated: {steep}"
    return "" if traits is None else f"; {traits.entry.name}, hash {traits.entry.sha256[:12]} as expected"


def _camera(settings: Settings) -> Finding:
    from nigiwai.eye.cameras import open_camera

    camera = open_camera(settings.camera)
    with contextlib.closing(camera):
        frame = camera.read(_FIRST_FRAME_S)
    if frame is None:
        return Finding("camera", Verdict.FAIL, f"{settings.camera.path}: the recording holds no frame", 4)
    return Finding("camera", Verdict.OK, f"{camera.kind.value}, pictures of {frame.width}x{frame.height}")


def _broker(settings: Settings) -> Finding:
    if not settings.mqtt.enabled:
        return Finding("broker", Verdict.WARN, "mqtt.enabled = false: counts stay on this device")
    from nigiwai.enrol.trouble import REMEDIES
    from nigiwai.lab.probe import reach_broker
    from nigiwai.link.certificate_files import Certificates

    flaws = Certificates(settings.mqtt).look(time.time_ns())
    told = "; ".join(f"{flaw.trouble}: {REMEDIES[flaw.trouble][1]}" for flaw in flaws)
    try:
        reached = reach_broker(settings)
    except BrokerError as e:
        return Finding("broker", Verdict.FAIL, f"{told}\n{e}" if told else str(e), e.exit_code)
    return Finding("broker", Verdict.WARN if told else Verdict.OK, f"{reached}\n{told}" if told else reached)


def _clock(_settings: Settings) -> Finding:
    from nigiwai.link.clock import kernel_synchronised

    if kernel_synchronised():
        return Finding("clock", Verdict.OK, "set by a time server")
    return Finding(
        "clock",
        Verdict.WARN,
        "not set by a time server; counting goes on, intervals say so and are corrected once it is."
        " Check `timedatectl`, or fit a battery clock where there is no internet",
    )


def _disk(settings: Settings) -> Finding:
    folder = _nearest_folder(settings.ledger.path)
    free_mib = shutil.disk_usage(folder).free // 2**20
    if not os.access(folder, os.W_OK):
        return Finding(
            "disk",
            Verdict.FAIL,
            f"{folder}: cannot be written by this user; the ledger is to be {settings.ledger.path}",
            8,
        )
    if free_mib < _LOW_DISK_MIB:
        return Finding(
            "disk", Verdict.WARN, f"{folder}: {free_mib} MiB free, at least {_LOW_DISK_MIB} wanted; make room"
        )
    return Finding("disk", Verdict.OK, f"{free_mib} MiB free at {folder}")


def _nearest_folder(path: Path) -> Path:
    """The folder of `path`, or the nearest above it that exists."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())
