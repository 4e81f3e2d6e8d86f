# SPDX-License-Identifier: Apache-2.0
"""`nigiwai status`."""

import sys
from pathlib import Path

import click

from nigiwai.commands.options import language_option, settings_option


@click.command()
@settings_option
@language_option
def command(settings_path: Path, language: str | None) -> None:
    """Say how this device is: services, release, lights, counts of today, certificate.

    In Japanese where the terminal is. Root also sees the certificate. The exit code is 0 if all is well, 13 otherwise.

    \b
    Examples:
      nigiwai status
      sudo nigiwai status --language ja
    """
    from nigiwai.staff import status, words

    chosen = words.Language(language) if language else words.here()
    well = True
    for line in status.status(settings_path, chosen):
        well = well and line.well
        mark = click.style("●", fg="green" if line.well else "red")
        click.echo(f"{mark} {line.thing}: {line.text}")
    sys.exit(0 if well else 13)
