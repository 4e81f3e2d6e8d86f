# SPDX-License-Identifier: Apache-2.0
"""`nigiwai check`."""

import sys
from pathlib import Path

import click

from nigiwai.commands.options import settings_option
from nigiwai.errors import CameraError
from nigiwai.lab.check import Verdict, check

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command()
@settings_option
@click.option("--sandbox", is_flag=True, help="Run the camera in eye's sandbox and name what blocks it. As root.")
@click.option("--only", multiple=True, hidden=True, help="Only these things.")
def command(settings_path: Path, sandbox: bool, only: tuple[str, ...]) -> None:
    """Say what is well and what is not: settings, model, camera, broker, clock, disk.

    One line each, with what to do where it fails. Stop the service first: a camera has one user at a time. The exit
    code is that of the first failure, 0 if there is none; warnings do not count.

    \b
    Examples:
      nigiwai check --settings /etc/nigiwai/nigiwai.toml
      sudo nigiwai check --sandbox
    """
    if sandbox:
        _check_sandbox(settings_path)
    exit_code = 0
    for finding in check(settings_path, only):
        mark = click.style(f"{finding.verdict.value:4}", fg=_COLOURS[finding.verdict])
        click.echo(f"{finding.thing:9} {mark}  " + finding.text.replace("\n", "\n" + " " * 16))
        exit_code = exit_code or finding.exit_code
    sys.exit(exit_code)


def _check_sandbox(settings_path: Path) -> None:
    """Says which lines of eye's unit block the camera, and ends."""
    from nigiwai.staff import sandbox

    found = sandbox.look(settings_path)
    for line in found:
        mark = click.style(f"{Verdict.FAIL.value:4}", fg="red")
        click.echo(f"sandbox   {mark}  {line}: blocks the camera / カメラを妨げています")
    if found:
        raise CameraError("the lines above of nigiwai-eye.service keep the camera from working; please report them")
    click.echo("sandbox   ok    the camera works under every restriction / すべての制限の下でカメラが動きます")
    sys.exit(0)
