# SPDX-License-Identifier: Apache-2.0
"""Opens the ledger's file: write-ahead log, every commit on the disk before it returns, tables up to date.

A file that fails SQLite's own check is not used: see salvage.py.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from nigiwai.errors import LedgerError
from nigiwai.link.store.tables import MIGRATIONS

_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full; make room, and what eye has counted follows",
    sqlite3.SQLITE_READONLY: "it is read-only; give link's user the right to write there",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; its folder must exist and belong to link's user",
    sqlite3.SQLITE_IOERR: "the disk reports an error; replace the SD card soon",
    sqlite3.SQLITE_CORRUPT: "it is damaged; link salvages it at its next start",
    sqlite3.SQLITE_NOTADB: "it is damaged; link salvages it at its next start",
    sqlite3.SQLITE_BUSY: "another process has it open; stop the other link",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
_CACHE_KIB = 2_048


Transaction = AbstractContextManager[sqlite3.Connection]


class DamagedError(LedgerError):
    """The file is not what was written to it."""


class FullError(LedgerError):
    """The disk is full; it may not be later."""

    waiting_helps = True


class ReadOnlyError(LedgerError):
    """The disk can only be read, as a worn SD card makes itself; somebody has to look after it."""

    waiting_helps = True


def open_file(path: Path) -> sqlite3.Connection:
    """The ledger's file, made if it is not there, checked and with its tables up to date.

    Raises DamagedError, or LedgerError with what to do.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
        try:
            _configure(connection)
            _check(connection, path)
            _migrate(connection, path)
            _sync_folder(path.parent)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's and the system's errors into a LedgerError that says what to do."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        raise _kind(code, path)(f"ledger.path = {os.fspath(path)!r}: {_HINTS.get(code, str(e))}") from e
    except OSError as e:
        kind = {errno.ENOSPC: FullError, errno.EROFS: ReadOnlyError}.get(e.errno or 0, LedgerError)
        raise kind(
            f"ledger.path = {os.fspath(path)!r}: {e.strerror or e}; choose a folder that link may write to"
        ) from e


def _kind(code: int, path: Path) -> type[LedgerError]:
    if code in _DAMAGED:
        return DamagedError
    if code == sqlite3.SQLITE_FULL:
        return FullError
    return ReadOnlyError if code in _UNWRITABLE and _on_read_only_disk(path) else LedgerError


def _on_read_only_disk(path: Path) -> bool:
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """All or nothing, and on the disk when it ends. Raises LedgerError."""
    with explained(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _configure(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        f"cache_size = -{_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _sync_folder(folder: Path) -> None:
    """Puts on the disk that the file is there, and that the journal of its first write is not: after a power cut that
    brought the journal back, SQLite would undo everything since.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(f"ledger.path = {os.fspath(path)!r}: it is damaged ({found[:120]})")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"ledger.path = {os.fspath(path)!r}: written by a newer Nigiwai (tables {version}, this one knows"
            f" {len(MIGRATIONS)}); install that version, or set another path"
        )
    for step in range(version, len(MIGRATIONS)):
        script = f"BEGIN IMMEDIATE; {MIGRATIONS[step]}; PRAGMA user_version = {step + 1}; COMMIT;"
        connection.executescript(script)
