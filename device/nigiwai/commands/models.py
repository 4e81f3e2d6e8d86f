# SPDX-License-Identifier: Apache-2.0
"""`nigiwai models`."""

from pathlib import Path

import click

from nigiwai.paths import ADDED_MODELS, model_folders

_folder_option = click.option(
    "--models-dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=ADDED_MODELS,
    show_default=True,
    help="Where added detectors are kept; the settings' model.folder.",
)


@click.group(invoke_without_command=True)
@_folder_option
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """List the detectors that are known, or take another one into use.

    \b
    Examples:
      nigiwai models
      sudo nigiwai models add yolox-nano --from yolox-nano-416.onnx
    """
    if ctx.invoked_subcommand is None:
        click.echo(_listing(folder))


def _listing(folder: Path) -> str:
    """A line a detector: name, input, licence, and whether its file is here."""
    from nigiwai.eye.manifest import known_models, sizes_text

    rows = [f"{'name':<24}{'file':<9}{'licence':<34}input"]
    for known in known_models(model_folders(folder)).values():
        entry = known.entry
        here = "here" if known.path.is_file() else "absent"
        rows.append(f"{entry.name:<24}{here:<9}{entry.licence[:32]:<34}{sizes_text(entry.input.sizes)}")
    return "\n".join(rows)


@command.command()
@click.argument("name")
@click.option(
    "--from",
    "origin",
    metavar="FILE|URL",
    help="The downloaded file, or an https address of it; the manifest's address unless given.",
)
@click.option(
    "--recording",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Pictures to calibrate and judge the INT8 copy with; the bundled clip unless given.",
)
@click.option("--no-quantise", is_flag=True, help="Take the file as it is.")
@click.option("--threads", type=click.IntRange(1, 16), default=2, show_default=True, help="Threads to time it with.")
@_folder_option
def add(name: str, origin: str | None, recording: Path | None, no_quantise: bool, threads: int, folder: Path) -> None:
    """Take the known detector NAME into use: fetch or read its file, check, quantise, time on this board, register.

    Only the very file that the manifest knows by its hash is taken, wherever it comes from. The faster of the file
    and its INT8 copy is registered under NAME, the other under NAME-fp32 or NAME-int8; an INT8 copy that misses
    people is not used.

    \b
    Examples:
      sudo nigiwai models add yolox-nano --from yolox-nano-416.onnx
      sudo nigiwai models add yolox-nano --from https://files.example.lg.jp/yolox-nano-416.onnx
    """
    from nigiwai.lab.models_add import add as add_model

    added = add_model(name, origin, recording=recording, quantise=not no_quantise, folder=folder, threads=threads)
    times = ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in added.times_ms.items())
    click.echo(f"{added.entry.name}: {added.entry.file} in {added.folder} ({added.reason}; {times})")
    click.echo(f'Write into the settings: [model] name = "{added.entry.name}"')
