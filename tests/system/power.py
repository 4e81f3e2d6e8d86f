# SPDX-License-Identifier: Apache-2.0
"""The disk of a device, as it stands on the card at the moment the plug is pulled.

The device's file system lies in an image file. What its kernel still holds in memory is not in that file, so a copy of
the file made at one moment is what a pulled plug leaves behind. The image lies on XFS, which shares the blocks of a
copy and makes it in one step, whatever is being written meanwhile. The device runs on; the copy is what is started.

Like a card that keeps what it has acknowledged: that the ledger also survives a disk that forgets what was not synced
is shown in tests/link/test_powercut.py.
"""

import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEDGER = Path("var/lib/nigiwai/ledger.db")
_SHELF_SIZE, _DISK_SIZE = "40G", "5G"


def why_no_shelf() -> str | None:
    """Why there can be no file system whose files are copied in one step, or None."""
    if shutil.which("mkfs.xfs") is None:
        return "mkfs.xfs is not installed (apt install xfsprogs)"
    if "xfs" not in Path("/proc/filesystems").read_text(encoding="utf-8").split():
        return "this kernel knows no XFS"
    free = subprocess.run(["losetup", "--find"], capture_output=True, check=False)
    return None if free.returncode == 0 else "there are no loop devices here"


def _run(*command: object) -> None:
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """The image's file system at a folder; its journal is replayed first, as at every start after a cut."""
    at.mkdir(exist_ok=True)
    _run("mount", "-o", "loop,noatime", image, at)
    try:
        yield at
    finally:
        # Lazily: the last process of a machine whose power was cut may still be on its way out.
        _run("umount", "--lazy", at)


@contextlib.contextmanager
def shelf(folder: Path) -> Iterator[Path]:
    """A folder whose files are copied in one step."""
    image = folder / "shelf.img"
    _run("truncate", "--size", _SHELF_SIZE, image)
    _run("mkfs.xfs", "-q", "-m", "reflink=1", image)
    with mounted(image, folder / "shelf") as place:
        yield place
    image.unlink()


def make_disk(root: Path, image: Path) -> None:
    """Writes everything below `root` to the image of a new ext4 file system, which is what Raspberry Pi OS uses."""
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, image, _DISK_SIZE)


def cut(image: Path, copy: Path) -> None:
    """Makes `copy` the disk that a pulled plug leaves behind at this moment."""
    _run("cp", "--reflink=always", image, copy)


@dataclass(frozen=True)
class Held:
    """What a ledger has committed: bins as (run, sequence), and how many records."""

    bins: frozenset[tuple[str, int]]
    records: int

    @property
    def runs(self) -> set[str]:
        """The starts of eye that it knows."""
        return {run for run, _ in self.bins}


def held(root: Path) -> Held:
    """What the ledger below `root` holds; empty where it has not been made yet. Link may be writing it meanwhile."""
    path = root / LEDGER
    if not path.exists():
        return Held(frozenset(), 0)
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        try:
            bins = frozenset(db.execute("SELECT run, sequence FROM bin").fetchall())
            return Held(bins, db.execute("SELECT count(*) FROM record").fetchone()[0])
        except sqlite3.OperationalError as e:
            if "no such table" in str(e):
                return Held(frozenset(), 0)
            raise


def check_ledger(root: Path) -> Held:
    """What the ledger holds that a cut left behind, its log replayed. Raises AssertionError where it is not whole."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        (copy / LEDGER).parent.mkdir(parents=True)
        for name in (LEDGER, LEDGER.with_name(LEDGER.name + "-wal")):
            if (root / name).exists():
                shutil.copyfile(root / name, copy / name)
        if not (copy / LEDGER).exists():
            return Held(frozenset(), 0)
        with contextlib.closing(sqlite3.connect(copy / LEDGER)) as db:
            found = [row[0] for row in db.execute("PRAGMA integrity_check")]
        assert found == ["ok"], found
        return held(copy)
