# SPDX-License-Identifier: Apache-2.0
"""`nigiwai wipe`: erases the ledger and the keys, and writes down that it did.

A flash card moves blocks about, so that overwriting proves nothing; the files are removed and the card is told which
blocks are free (fstrim), and the certificate says so and no more. Whoever needs certainty destroys the card.
"""

import contextlib
import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nigiwai.errors import LedgerError


@dataclass(frozen=True)
class Erased:
    """One file that is gone. sha256: of what it held, so that a copy could be recognised; None for keys."""

    path: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Report:
    """What was erased. records: in the ledger; None where it could not be read."""

    device: str
    at: datetime
    records: int | None
    files: tuple[Erased, ...]
    trimmed: bool
    left: tuple[str, ...]


def what_goes(ledger: Path, root: Path) -> Iterator[tuple[Path, bool]]:
    """Every file to be erased, and whether it is a secret. Damaged ledgers that were kept aside go too."""
    for path in sorted(ledger.parent.rglob("*")) if ledger.parent.is_dir() else ():
        if path.is_file() and not path.is_symlink() and path.name.startswith(ledger.name):
            yield path, False
    for folder in ("etc/nigiwai/credentials", "etc/nigiwai/credentials.next"):
        for path in sorted((root / folder).glob("*")) + sorted((root / folder).glob(".*")):
            if path.is_file():
                yield path, True
    if (root / "etc/nigiwai/enrolment.json").is_file():
        yield root / "etc/nigiwai/enrolment.json", True


def wipe(ledger: Path, root: Path, device: str, at: datetime) -> Report:
    """Erases everything and says what it was. The services must have been stopped. Raises LedgerError."""
    records = _records(ledger)
    gone, left = [], []
    for path, secret in list(what_goes(ledger, root)):
        try:
            erased = Erased(str(path), path.stat().st_size, None if secret else _digest(path))
            path.unlink()
            gone.append(erased)
        except OSError as e:
            left.append(f"{path}: {e.strerror}")
    if not gone and left:
        raise LedgerError("nothing could be erased: " + "; ".join(left))
    return Report(device, at, records, tuple(gone), _trim(ledger.parent), tuple(left))


def certificate(report: Report) -> str:
    """The report for the files, in Japanese and English. Pure."""
    records = "?" if report.records is None else str(report.records)
    lines = [
        "消去証明書 / Certificate of erasure",
        "",
        f"機器 / Device: {report.device}",
        f"日時 / At: {report.at.isoformat(timespec='seconds')}",
        f"計測記録の件数 / Records of counts: {records}",
        "",
        "消去したファイル / Files erased (bytes, SHA-256; keys without):",
        *(f"  {f.path}  {f.size_bytes}  {f.sha256 or '-'}" for f in report.files),
        "",
        "画像は、この機器に保存されたことがありません。 / No picture was ever stored on this device.",
        "カードの空き領域の消去命令 / Freed blocks handed to the card (fstrim): "
        + ("済 / done" if report.trimmed else "未実施 / not possible here"),
        "ファイルを削除しました。記録媒体の性質上、物理的な消去を保証するものではありません。必要な場合はカードを破壊してください。",
        "The files were removed. By the nature of flash memory this is no proof of physical erasure; where that is"
        " needed, destroy the card.",
    ]
    if report.left:
        lines += ["", "消去できなかったもの / COULD NOT BE ERASED:", *(f"  {what}" for what in report.left)]
    lines += ["", "実施者 / Done by: ____________________    確認者 / Witness: ____________________", ""]
    return "\n".join(lines)


def stop_services() -> None:
    """Stops everything of Nigiwai, so that nothing is written again."""
    if shutil.which("systemctl"):
        subprocess.run(["systemctl", "stop", "nigiwai.target", "nigiwai-eye", "nigiwai-link"], check=False)  # noqa: S607


def _records(ledger: Path) -> int | None:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM record").fetchone()[0])
    except sqlite3.Error:
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _trim(folder: Path) -> bool:
    program = shutil.which("fstrim") or shutil.which("fstrim", path="/usr/sbin:/sbin")
    if program is None or not folder.is_dir():
        return False
    return subprocess.run([program, str(folder)], capture_output=True, check=False).returncode == 0
