# SPDX-License-Identifier: Apache-2.0
"""`nigiwai release`."""

import tarfile
from datetime import UTC, datetime
from pathlib import Path

import click

from nigiwai import __version__

key_option = click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key that signs (ssh-keygen -t ed25519, or ed25519-sk on a security key).",
)


@click.group()
def command() -> None:
    """Sign a release and open it to groups of devices, at headquarters.

    \b
    Examples:
      provisioning/bundle.sh out/nigiwai 3.13:aarch64
      nigiwai release sign out/nigiwai --key ~/.ssh/nigiwai-release --tar out/nigiwai-release.tar
      nigiwai release open out/nigiwai --key ~/.ssh/nigiwai-release --group pilot
    """


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@key_option
@click.option("--version", default=__version__, show_default=True, help="The release's name for people.")
@click.option(
    "--serial", type=click.IntRange(1), help="Its number, greater than the last one's; the time if not given."
)
@click.option("--tar", "archive", type=click.Path(path_type=Path, dir_okay=False), help="Also pack it, for new cards.")
def sign(folder: Path, key: Path, version: str, serial: int | None, archive: Path | None) -> None:
    """Sign what provisioning/bundle.sh has made."""
    from nigiwai.update import bundle

    number = serial or int(datetime.now(UTC).strftime("%Y%m%d%H%M"))
    made = bundle.make(folder, version, number, key)
    if archive is not None:
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, arcname=".")
    click.echo(f"{folder}: release {made.version}, number {made.serial}, {len(made.files)} files, signed")


@command.command(name="open")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@key_option
@click.option("--group", "groups", multiple=True, required=True, help="A group of devices; `all` is everybody.")
def open_(folder: Path, key: Path, groups: tuple[str, ...]) -> None:
    """Open a signed release to groups of devices."""
    from nigiwai.update import bundle

    opened = bundle.stage(folder, groups, key)
    click.echo(f"{folder}: number {opened.serial} is open to {', '.join(opened.groups)}")
