# SPDX-License-Identifier: Apache-2.0
"""`nigiwai bench`."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

import click

from nigiwai import settings
from nigiwai.commands.options import DEFAULT_SETTINGS
from nigiwai.paths import demo_dir, model_folders


@click.command()
@click.argument("recording", type=click.Path(path_type=Path), required=False)
@click.option(
    "--settings",
    "settings_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"The settings file; {DEFAULT_SETTINGS} where it exists, else what is built in.",
)
@click.option("--camera", is_flag=True, help="Time the camera of the settings instead of a recording.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1, max=3600), default=30.0, show_default=True, help="At most so long."
)
@click.option("--choose", is_flag=True, help="Time every file and input size of the detector; recommend one.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def command(
    recording: Path | None, settings_path: Path | None, camera: bool, seconds: float, choose: bool, as_json: bool
) -> None:
    """Time each stage on this board: capture, prepare, infer, decode, track, count.

    Prints median and 95th percentile in ms, frames a second and resident memory, over RECORDING or the bundled clip.

    \b
    Examples:
      nigiwai bench
      nigiwai bench --camera --settings /etc/nigiwai/nigiwai.toml
      nigiwai bench --choose
    """
    from nigiwai.eye.assemble import camera_fit
    from nigiwai.eye.cameras import Camera, open_camera
    from nigiwai.eye.cameras.recording import Recording
    from nigiwai.lab import bench
    from nigiwai.lab import choose as choosing

    chosen = _settings(settings_path)
    if choose:
        frame = (chosen.camera.width_px, chosen.camera.height_px)
        choice = choosing.choose(
            chosen.model.name, model_folders(chosen.model.folder), frame, chosen.camera.fps, chosen.model.threads
        )
        click.echo(json.dumps(asdict(choice)) if as_json else choice.as_table())
        return
    if camera:
        source: Camera = open_camera(chosen.camera, fit=camera_fit(chosen))
    else:
        source = Recording(recording or demo_dir() / "entrance.mp4", pace="fast")
    with contextlib.closing(source):
        report = bench.bench(chosen, source, seconds)
    click.echo(json.dumps(report.as_json()) if as_json else report.as_table())


def _settings(path: Path | None) -> settings.Settings:
    if path is None and not DEFAULT_SETTINGS.is_file():
        return settings.Settings()
    return settings.load(path or DEFAULT_SETTINGS)
