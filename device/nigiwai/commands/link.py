# SPDX-License-Identifier: Apache-2.0
"""`nigiwai link`."""

from pathlib import Path

import click

from nigiwai import settings
from nigiwai.commands.options import settings_option, stop_on_signals


@click.command()
@settings_option
def command(settings_path: Path) -> None:
    """Run link: ledger, MQTT publisher and status page. It has the network and no camera.

    link starts and keeps its ledger whether or not the broker can be reached.

    \b
    Example:
      nigiwai link --settings /etc/nigiwai/nigiwai.toml
    """
    from nigiwai.link import service

    service.run(settings.load(settings_path), stop_on_signals())
