# SPDX-License-Identifier: Apache-2.0
"""`nigiwai evaluate`."""

import contextlib
import json
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
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def command(
    recording: str,
    truth: Path,
    settings_path: Path,
    fps: float | None,
    model: str | None,
    tolerance: float,
    as_json: bool,
) -> None:
    """Compare the passages counted in a RECORDING with the true ones, one to one.

    Precision, recall and F1 with 95 % intervals, signed error and offset in time, per gate and direction.

    \b
    Example:
      nigiwai evaluate door.mp4 --truth door.truth.jsonl --settings door.gates.toml
    """
    from nigiwai.lab import evaluate
    from nigiwai.lab.count import Counted, count, open_recording

    chosen = with_model(settings.load(settings_path), model)
    gates = tuple(g.name for g in chosen.gate)
    true = evaluate.read_truth(truth, gates)
    counted = Counted(gates)
    with contextlib.closing(open_recording(recording, fps)) as source:
        run_shown(count(source, chosen, counted, lambda _event: None), source.length_s)
    found = evaluate.evaluate(counted.events, true, gates, tolerance)
    click.echo(json.dumps(evaluate.to_json(found)) if as_json else evaluate.table(found))
