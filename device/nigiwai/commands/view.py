# SPDX-License-Identifier: Apache-2.0
"""`nigiwai view`."""

import contextlib
import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import click

from nigiwai import settings
from nigiwai.commands.count import run_shown
from nigiwai.commands.options import settings_option
from nigiwai.errors import CameraError, NigiwaiError


@click.command()
@click.argument("recording", required=False)
@settings_option
@click.option(
    "--fov",
    "fov_deg",
    type=click.FloatRange(20, 150),
    help="The lens's horizontal angle of view in degrees; that of [view] or [camera] if not given.",
)
@click.option(
    "--minutes", type=click.FloatRange(0.1, 120), default=10.0, show_default=True, help="How long to watch the camera."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
def command(recording: str | None, settings_path: Path, fov_deg: float | None, minutes: float, as_json: bool) -> None:
    """Estimate where the camera hangs, from the people it sees.

    From a RECORDING or, without one, from the camera of the settings (stop nigiwai-eye first: a camera has one user at
    a time). People further away have their feet higher in the picture and are smaller; from that come the camera's
    height and tilt, each with its uncertainty, and the gates' width in metres. Prints a [view] for the settings, or
    says why this view cannot be measured. What was seen before Ctrl-C, or before a camera was lost, is told all the
    same. No picture is kept.

    \b
    Examples:
      nigiwai view entrance.mp4 --settings gates.toml --fov 66
      nigiwai view --settings /etc/nigiwai/nigiwai.toml --fov 102 --minutes 20
    """
    from nigiwai.eye.ground import Ground, Refusal, describe
    from nigiwai.eye.survey import Survey

    chosen = settings.load(settings_path)
    angle = fov_deg or (chosen.view.fov_deg if chosen.view else chosen.camera.fov_deg)
    if angle is None:
        raise click.UsageError(
            "--fov: say the lens's horizontal angle of view in degrees, as its data sheet has it"
            " (Raspberry Pi camera module 3: 66, wide: 102)"
        )
    survey = Survey()
    try:
        with contextlib.closing(_frames(recording, chosen, minutes)) as frames:
            length_s = next(frames)
            run_shown(_watch(frames, chosen, survey), length_s)
    except (NigiwaiError, KeyboardInterrupt):
        # A camera that was unplugged after a quarter of an hour, or somebody who has seen enough.
        if isinstance(found := survey.estimate(angle), Ground):
            _report(found, chosen, survey, as_json=as_json)
        raise
    found = survey.estimate(angle)
    if isinstance(found, Refusal):
        raise CameraError(
            f"{describe(found)}; measure the lens's height above the floor and its tilt by hand and set [view],"
            " or leave it out: people are counted without it"
        )
    _report(found, chosen, survey, as_json=as_json)


def _report(found: Any, chosen: settings.Settings, survey: Any, *, as_json: bool) -> None:
    """Prints what was found."""
    from nigiwai.eye.ground import describe

    size, angle = survey.size or (1, 1), found.view.fov_deg
    widths = {g.name: found.length_m([(x * size[0], y * size[1]) for x, y in g.line]) for g in chosen.gate}
    if as_json:
        click.echo(json.dumps(_as_json(found, widths, len(survey))))
        return
    click.echo(f"{describe(found)}; from {len(survey)} looks at people")
    for line in gate_widths(found, chosen, size):
        click.echo(line)
    click.echo(
        f"\n[view]\nheight_m = {found.view.height_m:.2f}\ntilt_deg = {found.view.tilt_deg:.1f}\nfov_deg = {angle:g}"
    )


def gate_widths(ground: Any, chosen: settings.Settings, size: tuple[int, int]) -> Iterator[str]:
    """A line for each gate: how wide it is on the floor, and how well that is known."""
    for gate in chosen.gate:
        metres = ground.length_m([(x * size[0], y * size[1]) for x, y in gate.line])
        if metres == metres:  # NaN where the line reaches the horizon
            yield f"gate {gate.name}: {metres:.2f} m wide (+-{metres * ground.scale_sd:.2f})"
        else:
            yield f"gate {gate.name}: reaches above the horizon, so its width is not known; draw it on the floor"


def _frames(recording: str | None, chosen: settings.Settings, minutes: float) -> Generator[Any, None, None]:
    """How long it lasts in seconds, then (seconds, frame) to its end."""
    if recording is not None:
        from nigiwai.lab.count import open_recording

        with contextlib.closing(open_recording(recording, None)) as source:
            yield source.length_s
            while (frame := source.read(10.0)) is not None:
                yield source.seconds(frame.at), frame
        return
    from nigiwai.eye.assemble import camera_fit
    from nigiwai.eye.cameras import open_camera
    from nigiwai.eye.latest import Latest

    live = Latest(open_camera(chosen.camera, fit=camera_fit(chosen)))
    with contextlib.closing(live):
        yield 60 * minutes
        begun = time.monotonic()
        while (since := time.monotonic() - begun) < 60 * minutes and (shot := live.read(10.0)) is not None:
            yield since, shot


def _watch(frames: Iterator[Any], chosen: settings.Settings, survey: Any) -> Iterator[float]:
    """Follows the people of every frame, as eye does."""
    from nigiwai.eye.assemble import open_detector
    from nigiwai.eye.tracker import Tracker, TrackerConfig

    detector = open_detector(chosen)
    tracker = Tracker(TrackerConfig(high_score=detector.entry.thresholds.high))
    for seconds, frame in frames:
        size = (frame.width, frame.height)
        survey.see(tracker.update(detector.detect(frame), frame.at, size), size, frame.at)
        yield seconds


def _as_json(found: Any, widths: dict[str, float], looks: int) -> dict[str, Any]:
    view = found.view
    return {
        "height_m": round(view.height_m, 3),
        "height_sd_m": round(found.height_sd_m, 3),
        "tilt_deg": round(view.tilt_deg, 2),
        "tilt_sd_deg": round(found.tilt_sd_deg, 2),
        "fov_deg": view.fov_deg,
        "scale_sd": round(found.scale_sd, 4),
        "looks": looks,
        "gates_m": {name: round(metres, 3) if metres == metres else None for name, metres in widths.items()},
    }
