# SPDX-License-Identifier: Apache-2.0
"""Judges a release on trial: what worked before must work again within five minutes, and for half a minute on end."""

import logging
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nigiwai.enrol.trouble import REMEDIES, UPDATE_TOLD, Trouble, tell
from nigiwai.update import health
from nigiwai.update.health import Facts
from nigiwai.update.releases import MAX_BOOTS, Releases, Trial

log = logging.getLogger(__name__)

PROOF_S = 300.0
STEADY_S = 30.0
_LOOK_S = 2.0


def needs_of(facts: Facts) -> tuple[str, ...]:
    """What a new release must show: link in any case, counting and the broker where they worked before it."""
    return tuple(sorted(facts.works | {health.LINK}))


@dataclass(frozen=True)
class Patience:
    """How long a release may take to work, and how long it must then work on end."""

    proof_s: float = PROOF_S
    steady_s: float = STEADY_S


def judge(
    releases: Releases,
    look: Callable[[str], Facts],
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    patience: Patience | None = None,
) -> bool | None:
    """True: the release stays. False: the one before is in use again. None: nothing was on trial."""
    trial = releases.trial()
    if trial is None or releases.current() != trial.after or not releases.is_whole(trial.before):
        releases.forget_trial()
        return None
    if trial.boots >= MAX_BOOTS:
        log.critical("release %s: %d starts without proof", trial.after, trial.boots)
        releases.go_back(trial)
        return False
    trial = releases.note_boot(trial)
    patience = patience or Patience()
    if _proves_itself(trial, look, wait, clock, patience):
        releases.prove(trial)
        log.info("release %s has proved itself and stays", trial.after)
        return True
    log.critical(
        "release %s has not proved itself within %.0f s; %s is used again", trial.after, patience.proof_s, trial.before
    )
    releases.go_back(trial)
    return False


def _proves_itself(
    trial: Trial,
    look: Callable[[str], Facts],
    wait: Callable[[float], None],
    clock: Callable[[], float],
    patience: Patience,
) -> bool:
    begun = clock()
    since: float | None = None
    missing: set[str] | None = None
    while (now := clock()) - begun < patience.proof_s:
        lacks = set(trial.needs) - look(trial.after).works
        if lacks != missing:
            log.info("release %s on trial: %s", trial.after, ", ".join(sorted(lacks)) + " missing" if lacks else "well")
        missing = lacks
        since = None if lacks else (now if since is None else since)
        if since is not None and now - since >= patience.steady_s:
            return True
        wait(_LOOK_S)
    return False


def restart() -> None:
    """Starts the services from what `current` names now.

    Stopped first: one that is waiting for its next attempt would otherwise use up its last and stay down for a minute.
    """
    rooms = ("nigiwai-link.service", "nigiwai-eye.service")
    for arguments in (
        ("daemon-reload",),
        ("stop", *rooms),
        ("reset-failed", "nigiwai-*"),
        ("--no-block", "start", *rooms),
    ):
        subprocess.run(["systemctl", *arguments], check=False)  # noqa: S607


def start_judge() -> None:
    """Lets the trial be judged in the background."""
    subprocess.run(["systemctl", "--no-block", "restart", "nigiwai-trial.service"], check=False)  # noqa: S607


def judge_here(settings: Path, releases: Releases, patience: Patience, told: Path = UPDATE_TOLD) -> bool | None:
    """Judges what is on trial on this device, and restarts the services if it fails. The page is told how it went."""
    kept = judge(releases, lambda release: health.look(settings, release), patience=patience)
    if kept is None:
        return None
    note(told, "" if kept else Trouble.UNPROVEN, f"release {releases.current()} is in use")
    if not kept:
        restart()
    return kept


def note(told: Path, trouble: str, text: str) -> None:
    """Writes down how it went, for the page; the code goes to the journal too."""
    if trouble:
        log.error("%s: %s", trouble, REMEDIES[Trouble(trouble)][1])
    try:
        tell(told, trouble, text)
    except OSError as e:
        log.warning("%s: cannot be written (%s); the page does not show it", told, e.strerror)
