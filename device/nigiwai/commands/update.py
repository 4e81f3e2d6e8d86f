# SPDX-License-Identifier: Apache-2.0
"""`nigiwai update`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nigiwai.commands.options import settings_option
from nigiwai.errors import UpdateError

if TYPE_CHECKING:
    from nigiwai.update.releases import Releases


@click.command()
@click.argument("release", required=False, type=click.Path(path_type=Path, file_okay=False))
@settings_option
@click.option("--during-event", is_flag=True, help="Do not wait for the end of an event.")
@click.option("--back", is_flag=True, help="Use the release before again, on trial.")
@click.option("--forgive", is_flag=True, help="Let releases that failed on this device be tried again.")
@click.option("--judge", is_flag=True, hidden=True)
@click.option("--proof-s", type=float, default=300.0, hidden=True)
@click.option("--steady-s", type=float, default=30.0, hidden=True)
@click.option("--base", type=click.Path(path_type=Path), default=Path("/opt/nigiwai"), hidden=True)
@click.option("--told", type=click.Path(path_type=Path), default=Path("/run/nigiwai-update.json"), hidden=True)
@click.option("--signers", type=click.Path(path_type=Path), default=Path("/etc/nigiwai/release-signers"), hidden=True)
def command(
    release: Path | None,
    settings_path: Path,
    during_event: bool,
    back: bool,
    forgive: bool,
    judge: bool,
    proof_s: float,
    steady_s: float,
    base: Path,
    told: Path,
    signers: Path,
) -> None:
    """Install the signed release in the folder RELEASE, or look for one at headquarters. Run as root.

    It is installed beside the one that runs and has five minutes to show that everything works that worked before;
    otherwise the one before is used again by itself.

    \b
    Examples:
      sudo nigiwai update /mnt/nigiwai
      sudo nigiwai update
      sudo nigiwai update --back
    """
    from nigiwai.enrol.trouble import Trouble
    from nigiwai.enrol.trouble import told as read_told
    from nigiwai.update import trial
    from nigiwai.update.releases import Releases

    releases = Releases(base)
    if judge:
        trial.judge_here(settings_path, releases, trial.Patience(proof_s, steady_s), told)
    elif forgive:
        releases.forgive()
        click.echo("releases that failed here may be tried again")
    elif back:
        click.echo(_back(releases, settings_path))
    else:
        try:
            done = _update(releases, release, settings_path, during_event, signers)
        except UpdateError as e:
            if e.trouble:
                trial.note(told, e.trouble, str(e))
            raise
        if Trouble.UNPROVEN not in read_told((told,)):
            trial.note(told, "", done)
        click.echo(done)


def _back(releases: "Releases", settings: Path) -> str:
    from nigiwai.update import health, trial

    others = releases.others()
    if not others:
        raise UpdateError("no other whole release is on this card")
    releases.begin(others[0], trial.needs_of(health.look(settings)))
    trial.restart()
    trial.start_judge()
    return f"{others[0]} is in use, on trial"


def _update(
    releases: "Releases",
    release: Path | None,
    settings: Path,
    during_event: bool,
    signers: Path,
) -> str:
    from nigiwai.update import health, install, source

    if release is None:
        config = source.read_config()
        if config.source is None:
            raise UpdateError("name the folder of a release, or set `source` in /etc/nigiwai/update.toml")
        release = source.fetch_next(config, releases, signers)
    taken = (
        install.take(release, releases, health.look(settings), during_event=during_event, signers=signers)
        if release
        else None
    )
    return f"release {taken.version} is installed" if taken else "nothing new"
