# SPDX-License-Identifier: Apache-2.0
"""The ledger: what was counted, written before anything is said about it.

One file, one connection, one thread. Each public call is one transaction; when it returns, it is on the disk. A call
that raises LedgerError has changed nothing.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nigiwai.door.records import BIN_MS, MAX_GATES, Bin, Hello
from nigiwai.door.tables import TraitTable
from nigiwai.link.clock import STEP_NS, Place, Reading, stepped, updated
from nigiwai.link.intervals import NS_PER_MS, Gates, floor_to, sum_gates
from nigiwai.link.messages import ClockState, Losses
from nigiwai.link.store import audit, bins, carry, closing, file, hand, losses, records, retention, traits
from nigiwai.link.store.closing import Here
from nigiwai.link.store.records import Epoch
from nigiwai.link.store.rows import Key, Record, StoredBin

PATIENCE_NS = 2 * BIN_MS * NS_PER_MS
"""An interval waits this long for its last bin when eye is silent."""

BEFORE_ALL: Key = (0, 0)

MOST_NAMES = 4 * MAX_GATES - 1
"""Names of gates that a message's sums have room for, beside UNKNOWN_GATE."""

_GATES = "gates-known"

_EVENT = "event"
"""The note that says whether an event was last begun or ended."""

_ACKED_BY = "acked-by"
"""The note that holds this boot and the offset of the clock that acknowledgements were last dated by."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about the ledger."""

    step_ns: int
    trust_system: bool
    keep_ns: int = 30 * 86_400 * 1_000_000_000
    size_bytes: int = 64 * 1_048_576


@dataclass(frozen=True, slots=True)
class Standing:
    """What the open ledger knows beyond the file: the epoch, the boot before, and whether a file was salvaged."""

    epoch: str
    previous_epoch: str | None
    previous_last: int | None
    last_record: int


class Ledger:
    """An open ledger. Raises LedgerError from every call that writes, with nothing changed."""

    def __init__(self, path: Path, rules: Rules, now: Reading) -> None:
        self._path = path
        self._rules = rules
        self._db = file.open_file(path)
        self._place: Place | None = None
        self._boot = now.boot
        self._begun_ns = now.utc_ns
        self._dated_by_ns = now.utc_ns - now.boot_ns
        try:
            self._begin(now)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Closes the file; its log is folded into it."""
        self._db.close()

    @property
    def place(self) -> Place | None:
        """Where this boot lies on the wall clock; None while that may not be believed."""
        return self._place

    def _transaction(self) -> "file.Transaction":
        return file.transaction(self._db, self._path)

    def _begin(self, now: Reading) -> None:
        with self._transaction() as db:
            if records.maybe_epoch(db) is None:
                records.begin_epoch(db, secrets.token_hex(4), now.utc_ns)
            row = db.execute("SELECT offset_ns, clock FROM boot WHERE id = ?", (now.boot,)).fetchone()
            db.execute("INSERT INTO boot (id) VALUES (?) ON CONFLICT DO NOTHING", (now.boot,))
            self._close_boots_before(db)
            boot, _, dated_by = (losses.read_note(db, _ACKED_BY) or "").partition(" ")
        if row is not None and row["offset_ns"] is not None:
            self._place = Place(row["offset_ns"], ClockState(row["clock"]))
        if boot == now.boot:
            self._dated_by_ns = int(dated_by)

    def _close_boots_before(self, db: sqlite3.Connection) -> None:
        """What earlier boots left open and whose time is known becomes records; the rest waits for this boot's time."""
        for row in db.execute(
            "SELECT DISTINCT boot.* FROM boot JOIN bin ON bin.boot = boot.id"
            " WHERE record IS NULL AND boot.id <> ? AND offset_ns IS NOT NULL",
            (self._boot,),
        ).fetchall():
            here = Here(row["id"], Place(row["offset_ns"], ClockState(row["clock"])))
            closing.close_boot(db, self._epoch(db), here, self._rules.step_ns)

    def _epoch(self, db: sqlite3.Connection) -> Epoch:
        epoch = records.maybe_epoch(db)
        if epoch is None:
            raise RuntimeError("the ledger has no epoch")
        return epoch

    # What comes from eye

    def greet(self, hello: Hello) -> None:
        """A run of eye begins, or came back."""
        with self._transaction() as db:
            bins.greet(db, hello.run, hello.boot)

    def know_gates(self, names: Sequence[str]) -> frozenset[str]:
        """Notes the names of gates that were ever configured; all that passages may be counted under.

        Bins under a name that was changed may still be on their way, so names are kept. Where a message has no room for
        one more, numbering begins anew with those that are in force.
        """
        known = tuple(json.loads(self.read_note(_GATES) or "[]"))
        named = tuple(dict.fromkeys([*known, *names]))
        if named != known:
            with self._transaction() as db:
                if len(named) > MOST_NAMES:
                    carry.begin_anew(db, secrets.token_hex(4), self._begun_ns)
                    named = tuple(names)
                losses.write_note(db, _GATES, json.dumps(named))
        return frozenset(named)

    def commit(self, arrived: Sequence[Bin]) -> bool:
        """Stores the bins and closes what they complete; whether a record was made. A bin that came before changes
        nothing.
        """
        made: list[int] = []
        with self._transaction() as db:
            new = [b for b in arrived if bins.store(db, b, placed=self._place is not None)]
            if new and self._place is not None:
                made = self._close_reached(db, self._place)
        return bool(made)

    def _close_reached(self, db: sqlite3.Connection, place: Place) -> list[int]:
        here = Here(self._boot, place)
        amended = closing.amend_late(db, self._epoch(db), here)
        ends = [b.at(place.offset_ns).end_ns for b in bins.open_of_boot(db, self._boot)]
        until = floor_to(max(ends, default=0), self._rules.step_ns)
        return amended + closing.close_until(db, self._epoch(db), here, until, self._rules.step_ns)

    # What time does

    def tick(self, now: Reading, silent_for_ns: int) -> bool:
        """Follows the clock and closes what eye is silent about; whether a record was made."""
        made = self._follow(now)
        if self._place is None or silent_for_ns <= PATIENCE_NS:
            return made
        until = floor_to(self._now_ns(now) - PATIENCE_NS, self._rules.step_ns)
        return self._close_silent(self._place, until) or made

    def _now_ns(self, now: Reading) -> int:
        return self._place.utc_ns(now.boot_ns) if self._place is not None else now.utc_ns

    def _close_silent(self, place: Place, until: int) -> bool:
        epoch = self._epoch(self._db)
        if until <= (epoch.cursor_ns or 0) or (epoch.cursor_ns is None and not bins.all_open(self._db)):
            return False
        with self._transaction() as db:
            return bool(closing.close_until(db, epoch, Here(self._boot, place), until, self._rules.step_ns))

    def _follow(self, now: Reading) -> bool:
        before = self._place
        after = updated(before, now, trust_system=self._rules.trust_system)
        self._date_anew(now, after)
        if after is None or after == before:
            return False
        with self._transaction() as db:
            db.execute(
                "UPDATE boot SET offset_ns = ?, clock = ? WHERE id = ?",
                (after.offset_ns, after.state.value, self._boot),
            )
            made = self._moved(db, before, after)
        self._place = after
        return bool(made)

    def _date_anew(self, now: Reading, place: Place | None) -> None:
        """Moves the dates of acknowledgement along with the clock they were read from: a record that was delivered
        while the clock stood three years back is not three years old once the clock is set.
        """
        before_ns = self._dated_by_ns
        offset_ns = place.offset_ns if place is not None else now.utc_ns - now.boot_ns
        if abs(offset_ns - before_ns) <= STEP_NS:
            return
        with self._transaction() as db:
            records.date_anew(db, before_ns, before_ns + now.boot_ns, offset_ns - before_ns)
            losses.write_note(db, _ACKED_BY, f"{now.boot} {offset_ns}")
        self._dated_by_ns = offset_ns

    def _moved(self, db: sqlite3.Connection, before: Place | None, after: Place) -> list[int]:
        if before is None:
            return self._close_reached(db, after)
        if not stepped(before, after):
            return []
        here = Here(self._boot, after)
        return closing.place_anew(db, self._epoch(db), here, before, self._rules.step_ns)

    def finish(self) -> bool:
        """Closes the open interval at the end of its last bin, before the process stops; whether a record was made."""
        if self._place is None:
            return False
        with self._transaction() as db:
            here = Here(self._boot, self._place)
            return bool(closing.close_boot(db, self._epoch(db), here, self._rules.step_ns))

    # What goes out

    def pending(self, after: Key = BEFORE_ALL, limit: int = 32) -> list[Record]:
        """The oldest records that the broker has not taken, beyond `after`."""
        with file.explained(self._path):
            return records.pending(self._db, after, limit)

    def newest(self) -> Key:
        """The last record made."""
        with file.explained(self._path):
            epoch = self._epoch(self._db)
            return (epoch.id, records.last_number(self._db, epoch.id))

    def following(self, after: Key, limit: int) -> list[Record]:
        """The records that count, beyond `after`, whether the broker took them or not."""
        with file.explained(self._path):
            return records.following(self._db, after, limit)

    def acknowledge(self, keys: Iterable[Key], now_ns: int) -> None:
        """The broker took these."""
        with self._transaction() as db:
            records.acknowledge(db, keys, now_ns)

    def span(self, epoch: str, first: int, last: int) -> list[Record]:
        """Records that are kept and count, to be sent again."""
        with file.explained(self._path):
            return records.span(self._db, epoch, first, last)

    def knows_epoch(self, name: str) -> bool:
        """Whether there ever was an epoch of that name here."""
        with file.explained(self._path):
            return self._db.execute("SELECT 1 FROM epoch WHERE name = ?", (name,)).fetchone() is not None

    # Tables of who came

    def keep_table(self, table: TraitTable, boot: str, now_ns: int) -> None:
        """Stores a released table of a run of that boot."""
        with self._transaction() as db:
            bins.greet(db, table.run, boot)
            traits.store(db, table, boot, self._epoch(db).id, now_ns)

    def pending_tables(self, limit: int = 8) -> list[traits.StoredTable]:
        """The oldest tables that the broker has not taken."""
        with file.explained(self._path):
            return traits.pending(self._db, limit)

    def latest_tables(self, limit: int) -> list[traits.StoredTable]:
        """The newest tables, oldest first."""
        with file.explained(self._path):
            return traits.latest(self._db, limit)

    def acknowledge_tables(self, numbers: Sequence[int], now_ns: int) -> None:
        """The broker took these."""
        with self._transaction() as db:
            traits.acknowledge(db, numbers, now_ns)

    # What is asked

    def standing(self) -> Standing:
        """The numbering in force."""
        with file.explained(self._path):
            epoch = self._epoch(self._db)
            name, last = records.epoch_before(self._db, epoch.id) or (None, None)
            return Standing(epoch.name, name, last, records.last_number(self._db, epoch.id))

    def queue_length(self) -> int:
        """How many records the broker has not taken."""
        with file.explained(self._path):
            return records.queue_length(self._db)

    def total(self) -> Gates:
        """In and out per gate since the epoch began, open intervals included."""
        with file.explained(self._path):
            return sum_gates([self._epoch(self._db).totals, *(b.gates for b in bins.all_open(self._db))])

    def closed_since(self, start_ns: int, after: Key = BEFORE_ALL) -> list[tuple[int, Gates]] | None:
        """Start and gates of the records beyond `after` that count and start at or after `start_ns`.

        None if sums over the records up to `after` no longer hold, since one of them was replaced.
        """
        with file.explained(self._path):
            epoch, (known_epoch, known) = self._epoch(self._db).id, after
            if after != BEFORE_ALL and (known_epoch != epoch or records.replaced_after(self._db, epoch, known)):
                return None
            return records.since(self._db, start_ns, after)

    def blind_since(self, start_ns: int) -> list[tuple[int, int]]:
        """Start and blind nanoseconds of the records from that moment on in which something was not seen."""
        with file.explained(self._path):
            return records.blind_since(self._db, start_ns)

    def opened(self) -> list[tuple[int | None, Gates]]:
        """Start and gates of the bins that are in no record yet; None where their time is not known."""
        with file.explained(self._path):
            return [(self._start_ns(b), b.gates) for b in bins.all_open(self._db)]

    def _start_ns(self, stored: StoredBin) -> int | None:
        return None if stored.offset_ns is None else stored.at(stored.offset_ns).start_ns

    def losses(self) -> Losses:
        """What could not be kept."""
        with file.explained(self._path):
            return losses.losses(self._db)

    @property
    def event(self) -> bool:
        """Whether an event is under way: it was begun, by staff or by headquarters, and not ended since."""
        return self.read_note(_EVENT) == "start"

    def set_event(self, action: str) -> None:
        """Notes that an event starts or ends."""
        self.write_note(_EVENT, action)

    def read_note(self, key: str) -> str | None:
        """What was last noted under `key`."""
        with file.explained(self._path):
            return losses.read_note(self._db, key)

    def write_note(self, key: str, value: str) -> None:
        """Notes `value` under `key`."""
        with self._transaction() as db:
            losses.write_note(db, key, value)

    # Upkeep

    def audit(self, entry: audit.Entry) -> None:
        """Writes one line of the audit log."""
        with self._transaction() as db:
            audit.write(db, entry)

    def write_hand(self, noted: hand.Noted) -> None:
        """Keeps what staff noted."""
        with self._transaction() as db:
            hand.write(db, noted)

    def hand_since(self, start_ns: int) -> list[hand.Noted]:
        """What staff noted from that moment on."""
        with file.explained(self._path):
            return hand.since(self._db, start_ns)

    def latest_hand(self, kind: str) -> hand.Noted | None:
        """What staff noted last of that kind."""
        with file.explained(self._path):
            return hand.latest(self._db, kind)

    def seen_transaction(self, handle: str) -> bool:
        """Whether a request with that transaction was taken before."""
        with file.explained(self._path):
            return audit.seen(self._db, handle)

    def carry_over(self, tables: Sequence[carry.Table]) -> int:
        """Takes over what could be read of a damaged file and begins a new epoch; how many records are missing."""
        with self._transaction() as db:
            missing = carry.carry_over(db, tables, secrets.token_hex(4), self._begun_ns)
            self._close_boots_before(db)
        return missing

    def tidy(self, now_ns: int) -> bool:
        """Removes what was kept long enough, and merges the oldest detail where the file grows too large.

        Nothing is old by a clock that nobody has checked: it may be years ahead. The size bound holds in any case.
        """
        checked = self._place is not None and self._place.state is ClockState.SYNCHRONISED
        limits = retention.Limits(now_ns, self._rules.keep_ns if checked else None, self._rules.size_bytes)
        with self._transaction() as db:
            return retention.tidy(db, self._epoch(db), self._boot, limits)
