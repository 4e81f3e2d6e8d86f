# SPDX-License-Identifier: Apache-2.0
"""The releases on this device and the steps between them. Each step is one rename, so that a power cut finds the device
before it or after it and never in between.

    BASE/releases/X/.complete   a whole release, with its units; made by provisioning/install.sh
    BASE/current  -> releases/X the one in use; systemd's unit files are links through it, so they change with it
    BASE/trial.json             there while `current` has yet to prove itself: where from, where to, what is asked of it
    BASE/judge    -> releases/Y whose program judges the trial: the one before, which is known to work
    BASE/standing.json          the highest serial that proved itself, and those that failed

The order is what makes it safe:
    begin:    judge, trial.json, current.       Cut before `current` changes: the trial is void and forgotten.
    prove:    standing.json, then trial.json goes.
    go back:  standing.json, current, then trial.json goes.   Cut between: `current` is not what is on trial; forgotten.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nigiwai.errors import UpdateError
from nigiwai.update.manifest import Standing

BASE = Path("/opt/nigiwai")
MAX_BOOTS = 3
"""Starts of the device that a release on trial is given: one that makes the board restart must not do so for ever."""


@dataclass(frozen=True)
class Trial:
    """A release that has yet to prove itself. needs: what worked before and must work again."""

    before: str
    after: str
    needs: tuple[str, ...]
    boots: int = 0


class Releases:
    """The folder of releases."""

    def __init__(self, base: Path = BASE) -> None:
        self.base = base

    def current(self) -> str | None:
        """The name of the release in use."""
        return self._target("current")

    def is_whole(self, name: str) -> bool:
        """Whether a release was installed to its end."""
        return (self.base / "releases" / name / ".complete").exists()

    def others(self) -> list[str]:
        """Whole releases besides the one in use, the newest first."""
        found = [p.parent for p in (self.base / "releases").glob("*/.complete")]
        found.sort(key=lambda p: p.stat().st_mtime_ns, reverse=True)
        return [p.name for p in found if p.name != self.current()]

    def serial(self, name: str | None) -> int:
        """A release's number; 0 for one that was installed without a signature."""
        try:
            table = json.loads((self.base / "releases" / str(name) / "release.json").read_text(encoding="utf-8"))
            return int(table["serial"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def standing(self, group: str = "all") -> Standing:
        """What this device has and has proved."""
        table = self._read("standing.json") or {}
        proved, refused = table.get("proved", 0), table.get("refused", [])
        return Standing(self.serial(self.current()), int(proved), tuple(map(int, refused)), group)

    def trial(self) -> Trial | None:
        """The trial under way. A file that cannot be read is as good as none: it was never finished."""
        table = self._read("trial.json")
        try:
            return Trial(**{**table, "needs": tuple(table["needs"])}) if table else None
        except (KeyError, TypeError):
            return None

    def begin(self, after: str, needs: tuple[str, ...]) -> None:
        """Puts a whole release into use, on trial if another was in use before. Raises UpdateError."""
        before = self.current()
        if not self.is_whole(after):
            raise UpdateError(f"{self.base / 'releases' / after}: not a whole release; it is not used")
        if before is not None and before != after and self.is_whole(before):
            judge = before if (self.base / "releases" / before / "systemd/nigiwai-trial.service").exists() else after
            self._link("judge", judge)
            self._write("trial.json", asdict(Trial(before, after, needs)))
        self._link("current", after)

    def note_boot(self, trial: Trial) -> Trial:
        """Counts one more start of the device on trial."""
        counted = replace(trial, boots=trial.boots + 1)
        self._write("trial.json", asdict(counted))
        return counted

    def prove(self, trial: Trial) -> None:
        """The release stays."""
        standing = self.standing()
        serial = self.serial(trial.after)
        refused = [r for r in standing.refused if r != serial]
        self._write("standing.json", {"proved": max(standing.proved, serial), "refused": refused})
        self.forget_trial()

    def go_back(self, trial: Trial) -> None:
        """The release before is used again, and the one on trial is not tried any more."""
        standing = self.standing()
        serial = self.serial(trial.after)
        refused = sorted({*standing.refused, *([serial] if serial else [])})
        self._write("standing.json", {"proved": standing.proved, "refused": refused})
        self._link("current", trial.before)
        self.forget_trial()

    def forgive(self) -> None:
        """Releases that failed here may be tried again."""
        self._write("standing.json", {"proved": self.standing().proved, "refused": []})

    def forget_trial(self) -> None:
        """There is no trial any more."""
        (self.base / "trial.json").unlink(missing_ok=True)
        self._sync()

    def _target(self, name: str) -> str | None:
        try:
            return Path(os.readlink(self.base / name)).name
        except OSError:
            return None

    def _link(self, name: str, release: str) -> None:
        beside = self.base / f".{name}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"releases/{release}")
        beside.rename(self.base / name)
        self._sync()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            table = json.loads((self.base / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return table if isinstance(table, dict) else None

    def _write(self, name: str, table: dict[str, Any]) -> None:
        beside = self.base / f".{name}.new"
        with beside.open("w", encoding="utf-8") as file:
            json.dump(table, file)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.base / name)
        self._sync()

    def _sync(self) -> None:
        """A rename is on the card once its folder is."""
        descriptor = os.open(self.base, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
