# SPDX-License-Identifier: Apache-2.0
"""`nigiwai venue`."""

import click

from nigiwai.commands.options import stop_on_signals


@click.command()
def command() -> None:
    """Run the access point of a venue without a network: on after two minutes alone, off with the first connection.

    \b
    Example:
      sudo nigiwai venue
    """
    from nigiwai.venue import nmcli

    nmcli.run(stop_on_signals())
