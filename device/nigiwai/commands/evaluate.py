# SPDX-License-Identifier: Apache-2.0
"""`nigiwai evaluate`."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

import click

from nigiwai import settings
from nigiwai.commands.count import run_shown, with_model
from nigiwai.commands.options import settings_option


@click.command()
@click.argument("recording")
@click.option(
    "--truth",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help='True passages, one {"t": 17.2, "gate": "door", "direction": "in"} a line.',
)
@settings_option
@click.option("--fps", type=click.FloatRange(min=0.5, max=60), help="Look at so many frames a second only.")
@click.option("--model", metavar="NAME", help="Another detector of models/manifest.toml.")
@click.option(
    "--tolerance", type=click.FloatRange(0.05, 10), default=1.0, show_default=True, help="Seconds a passage may be off."
)
@click.option(
    "--tracks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="True boxes of everybody in every frame: CAVIAR .xml, MOTChallenge .txt, or .tracks.jsonl.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def command(
    recording: str,
    truth: Path,
    settings_path: Path,
    fps: float | None,
    model: str | None,
    tolerance: float,
    tracks: Path | None,
    as_json: bool,
) -> None:
    """Compare the passages counted in a RECORDING with the true ones, one to one.

    Precision, recall and F1 with 95 % intervals, signed error and offset in time, per gate and direction. With
    --tracks also how well people are followed, as the MOTChallenge measures it (needs pip install 'nigiwai[tracks]').

    \b
    Examples:
      nigiwai evaluate door.mp4 --truth door.truth.jsonl --settings door.gates.toml
      nigiwai evaluate door.mp4 --truth door.truth.jsonl --settings door.gates.toml --tracks door.mot.txt
    """
    from nigiwai.lab import evaluate
    from nigiwai.lab.count import Counted, count, open_recording
    from nigiwai.lab.tracks import TrackJudge, read_tracks, to_line

    if tracks is not None and fps is not None:
        raise click.UsageError("--tracks goes by the recording's own frames; leave --fps out")
    chosen = with_model(settings.load(settings_path), model)
    gates = tuple(g.name for g in chosen.gate)
    true = evaluate.read_truth(truth, gates)
    judge = None if tracks is None else TrackJudge(read_tracks(tracks))
    looked = (lambda _frame, _tracks, _size: None) if judge is None else judge.see
    counted = Counted(gates)
    with contextlib.closing(open_recording(recording, fps)) as source:
        run_shown(count(source, chosen, counted, lambda _event: None, looked), source.length_s)
    found = evaluate.evaluate(counted.events, true, gates, tolerance)
    followed = None if judge is None else judge.score()
    if as_json:
        scores = evaluate.to_json(found)
        click.echo(json.dumps(scores if followed is None else {**scores, "tracks": asdict(followed)}))
        return
    click.echo(evaluate.table(found))
    if followed is not None:
        click.echo(to_line(followed))
