# SPDX-License-Identifier: Apache-2.0
"""`nigiwai count`."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import click

from nigiwai import settings
from nigiwai.commands.options import settings_option
from nigiwai.errors import NigiwaiError
from nigiwai.lab.count import Counted, CountError, count, open_recording
from nigiwai.lab.matching import Event


@click.command()
@click.argument("recording")
@settings_option
@click.option(
    "--events", type=click.Path(path_type=Path, dir_okay=False), help="Write each crossing as a line of JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
@click.option("--fps", type=click.FloatRange(min=0.5, max=60), help="Look at so many frames a second only.")
@click.option("--model", metavar="NAME", help="Another detector of models/manifest.toml.")
def command(
    recording: str, settings_path: Path, events: Path | None, as_json: bool, fps: float | None, model: str | None
) -> None:
    """Count the people in a RECORDING: a video file, or rtsp://... of a network camera until Ctrl-C.

    Uses the gates of the settings and the very pipeline of eye, as fast as this machine goes. With --events each
    crossing is written as {"t": 17.2, "gate": "door", "direction": "in"}, t in seconds of the recording. What was
    counted before a recording breaks off is printed all the same.

    \b
    Examples:
      nigiwai count entrance.mp4 --settings gates.toml
      nigiwai count entrance.mp4 --settings gates.toml --fps 5 --events out.jsonl
    """
    chosen = with_model(settings.load(settings_path), model)
    counted = Counted(tuple(g.name for g in chosen.gate))
    source = open_recording(recording, fps)
    with contextlib.closing(source), _writer(events) as write:
        try:
            run_shown(count(source, chosen, counted, write), source.length_s)
        except (NigiwaiError, KeyboardInterrupt):
            if counted.frames:
                _report(counted, as_json=as_json)
            raise
    _report(counted, as_json=as_json)


def with_model(chosen: settings.Settings, model: str | None) -> settings.Settings:
    """The settings with another detector, at its own first size."""
    if model is None:
        return chosen
    other = chosen.model.model_copy(update={"name": model, "width_px": None, "height_px": None})
    return chosen.model_copy(update={"model": other})


def run_shown(progress: Iterator[float], length_s: float | None) -> None:
    """Runs to the end, with a bar where somebody watches."""
    if length_s is None or not sys.stderr.isatty():
        for _ in progress:
            pass
        return
    with click.progressbar(length=round(length_s * 10), label="Counting", file=sys.stderr) as bar:
        for seconds in progress:
            bar.update(max(0, round(seconds * 10) - bar.pos))


@contextlib.contextmanager
def _writer(path: Path | None) -> Iterator[Callable[[Event], None]]:
    """What takes each event: writes it to `path` at once, or does nothing."""
    if path is None:
        yield lambda _event: None
        return
    out = _writable(path)

    def write(event: Event) -> None:
        try:
            out.write(json.dumps(event._asdict()) + "\n")
        except OSError as e:
            raise _unwritable(path, e) from None

    with out:
        yield write


def _writable(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", buffering=1)
    except OSError as e:
        raise _unwritable(path, e) from None


def _unwritable(path: Path, e: OSError) -> CountError:
    return CountError(f"--events {path}: cannot be written ({e.strerror}); choose another file or make room")


def _report(counted: Counted, *, as_json: bool) -> None:
    if as_json:
        result = {"counted": counted.sums, "frames": counted.frames, "seconds": round(counted.seconds, 3)}
        click.echo(json.dumps(result))
        return
    click.echo(f"{counted.frames} frames, {counted.seconds:.1f} s")
    for gate, passed in counted.sums.items():
        click.echo(f"{gate:16} in {passed['in']:>5}   out {passed['out']:>5}")
