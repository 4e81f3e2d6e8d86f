# SPDX-License-Identifier: Apache-2.0
"""The command line: what commands there are, and how their errors reach the person who typed them.

A command's module is imported when it is asked for and not before: `nigiwai link` never loads an image library, and
`--help` loads nothing.
"""

import importlib
import logging
import os
import sys
import traceback

import click

from nigiwai import __version__
from nigiwai.errors import NigiwaiError

GROUPS: dict[str, dict[str, str]] = {
    "Try it": {
        "demo": "Count the bundled clip from camera to broker, on this machine.",
        "count": "Count the people in a recording.",
    },
    "On the device": {
        "eye": "Run the service that has the camera and no network.",
        "link": "Run the service that has the network and no camera.",
        "check": "Say what is well and what is not, and what to do.",
        "view": "Estimate where the camera hangs, from the people it sees.",
        "status": "Say how this device is.",
        "logs": "Show what the services said, without secrets.",
        "venue": "Run the access point of a venue without a network.",
        "wipe": "Erase the ledger and the keys, with a certificate.",
        "enrol": "Make this device known to headquarters.",
        "update": "Install a signed release, on trial.",
    },
    "At headquarters": {
        "release": "Sign a release and open it to groups of devices.",
        "site": "Make a site's certificates and its devices' cards.",
    },
    "In the workshop": {
        "bench": "Time each stage on this board.",
        "evaluate": "Compare counted crossings with the truth.",
        "models": "List detectors, or add one.",
        "fleet": "Play many simulated devices against a broker.",
    },
}
"""Every command by heading, with its line of help; the code of NAME is `command` in commands/NAME.py."""

EXIT_CODES = """\b
Exit codes: 0 well, 1 a defect of ours, 2 wrong usage, 3 settings, 4 camera or
recording, 5 model, 6 broker, 7 status page, 8 ledger, 9 door between eye and
link, 10 the counts differ from what was expected, 11 enrolment or certificate,
12 release not taken, 13 something is not well (status), 130 interrupted."""


class Commands(click.Group):
    """The commands, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's own signature
        """Every command's name, in the order of the help."""
        return [name for group in GROUPS.values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"nigiwai.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the commands under their headings without loading them."""
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nigiwai")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def root(verbose: bool) -> None:
    """Nigiwai counts people at event entrances. Pictures never leave the device.

    \b
    Examples:
      nigiwai demo --once
      nigiwai count entrance.mp4 --settings gates.toml
      nigiwai check --settings /etc/nigiwai/nigiwai.toml
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def main() -> None:
    """Runs the command line and ends the process with a documented exit code, without a traceback."""
    try:
        root.main(standalone_mode=False)
    except click.exceptions.Exit as e:
        sys.exit(e.exit_code)
    except click.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except NigiwaiError as e:
        click.echo(f"nigiwai: {e}", err=True)
        sys.exit(e.exit_code)
    except BrokenPipeError:
        # Whoever read our output has closed it (`| head`); Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as e:  # noqa: BLE001  the last door: a defect is told in one line, and never quotes values
        _tell_defect(e)
        sys.exit(1)


def _tell_defect(e: Exception) -> None:
    """One line that names the place. The exception's own text may hold data and is left out."""
    if os.environ.get("NIGIWAI_TRACEBACK"):
        traceback.print_exception(e)
    place = traceback.extract_tb(e.__traceback__)[-1]
    click.echo(
        f"nigiwai: a defect of ours ({type(e).__name__} at {os.path.basename(place.filename)}:{place.lineno});"
        " set NIGIWAI_TRACEBACK=1 to see more, and please report it",
        err=True,
    )
