# SPDX-License-Identifier: Apache-2.0
"""`nigiwai eye`."""

import json
from pathlib import Path

import click

from nigiwai import settings
from nigiwai.commands.options import settings_option, stop_on_signals


@click.command()
@settings_option
def command(settings_path: Path) -> None:
    """Run eye: camera, detector, tracker and gates. It has the camera and no network.

    Counts go to link through the door (a local socket) and nowhere else. Where the camera is a recording that does not
    loop, eye ends with it and prints what it counted as one line of JSON.

    \b
    Example:
      nigiwai eye --settings /etc/nigiwai/nigiwai.toml
    """
    from nigiwai.eye import service

    counted = service.run(settings.load(settings_path), stop_on_signals())
    click.echo(json.dumps({"counted": counted}))
