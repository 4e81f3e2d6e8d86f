# SPDX-License-Identifier: Apache-2.0
"""A damaged ledger: what can still be read goes into a new file, what cannot is counted, and numbering begins anew.

The damaged file is kept beside the new one (one at most, so that the disk does not fill with them).
"""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from nigiwai.link.clock import Reading
from nigiwai.link.ledger import Ledger, Rules
from nigiwai.link.store.file import DamagedError

log = logging.getLogger(__name__)

_TABLES: dict[str, str] = {
    "epoch": "id",
    "boot": "id",
    "run": "id",
    "bin": "run, sequence",
    "record": "epoch, number",
    "loss": "kind",
    "audit": "id",
    "note": "key",
    "hand": "id",
    "trait_table": "number",
}
"""Every table and what orders it. A table is read from both ends, so that one bad page costs its own rows only."""


def open_or_salvage(path: Path, rules: Rules, now: Reading) -> tuple[Ledger, bool]:
    """The ledger at `path`, and whether it had to be salvaged. Raises LedgerError where neither is possible."""
    try:
        return Ledger(path, rules, now), False
    except DamagedError as e:
        log.error("%s; what can be read is carried over to a new file", e)
    damaged = _set_aside(path)
    ledger = Ledger(path, rules, now)
    lost = ledger.carry_over(list(_read_tables(damaged)))
    log.error("ledger: %d records were lost with the damaged file, which is kept as %s", lost, damaged)
    return ledger, True


def _set_aside(path: Path) -> Path:
    damaged = path.with_name(path.name + ".damaged")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{damaged}{suffix}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{damaged}{suffix}")
    return damaged


def _read_tables(damaged: Path) -> Iterator[tuple[str, list[dict[str, object]]]]:
    with contextlib.closing(sqlite3.connect(damaged)) as db:
        db.row_factory = sqlite3.Row
        for table, order in _TABLES.items():
            rows = {json.dumps([row[k.strip()] for k in order.split(",")]): row for row in _readable(db, table, order)}
            yield table, [dict(row) for row in rows.values()]


def _readable(db: sqlite3.Connection, table: str, order: str) -> Iterator[sqlite3.Row]:
    for direction in ("ASC", "DESC"):
        by = ", ".join(f"{column} {direction}" for column in order.split(","))
        with contextlib.suppress(sqlite3.Error):
            yield from db.execute(f"SELECT * FROM {table} ORDER BY {by}")  # noqa: S608 # names are ours
