# SPDX-License-Identifier: Apache-2.0
"""The ledger's tables, as steps that are applied in order and never changed once released.

`PRAGMA user_version` says how many have been applied.
"""

MIGRATIONS: tuple[str, ...] = (
    """
    -- One row for each count from one; a new epoch begins when numbering cannot go on (a damaged file, a reset).
    CREATE TABLE epoch (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        begun_ns INTEGER NOT NULL,          -- system time, for the reader only
        totals TEXT NOT NULL DEFAULT '{}',  -- {"gate": [in, out]}: the sum of its records that count
        cursor_ns INTEGER,                  -- the tiling has reached this moment; NULL before its first interval
        seen_until_ns INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- Where a boot lies on the wall clock. base_ns: the cursor before its first record, to place it anew from there
    -- (NULL: it began the tiling); valid once based is 1.
    CREATE TABLE boot (
        id TEXT PRIMARY KEY,
        offset_ns INTEGER,
        clock TEXT,
        base_ns INTEGER,
        based INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;

    -- One start of eye. Bins up to pruned_until have come and may be gone from here.
    CREATE TABLE run (
        id TEXT PRIMARY KEY,
        boot TEXT NOT NULL,
        last INTEGER NOT NULL DEFAULT 0,
        pruned_until INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE bin (
        run TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        first_sequence INTEGER NOT NULL,
        boot TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        length_ms INTEGER NOT NULL,
        blind_ms INTEGER NOT NULL,
        flags TEXT NOT NULL,
        gates TEXT NOT NULL,
        placed INTEGER NOT NULL DEFAULT 0,  -- 1: its boot's place was known when it came
        record INTEGER,                     -- the record of the current epoch that contains it
        PRIMARY KEY (run, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX bin_open ON bin (boot, start_ms) WHERE record IS NULL;
    CREATE INDEX bin_record ON bin (record);

    CREATE TABLE record (
        epoch INTEGER NOT NULL,
        number INTEGER NOT NULL,
        boot TEXT NOT NULL,
        start_ns INTEGER,
        end_ns INTEGER NOT NULL,
        gates TEXT NOT NULL,
        totals TEXT NOT NULL,
        blind_ns INTEGER NOT NULL,
        marks TEXT NOT NULL,
        clock TEXT NOT NULL,
        replaces TEXT NOT NULL,
        acked_ns INTEGER,                   -- the broker took it; NULL: not yet
        replaced_by INTEGER,                -- this record no longer counts
        PRIMARY KEY (epoch, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX record_pending ON record (epoch, number) WHERE acked_ns IS NULL AND replaced_by IS NULL;
    CREATE INDEX record_time ON record (epoch, start_ns) WHERE replaced_by IS NULL;
    CREATE INDEX record_acked ON record (acked_ns) WHERE acked_ns IS NOT NULL;

    CREATE TABLE loss (
        kind TEXT PRIMARY KEY,
        count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL,
        source TEXT NOT NULL,
        command TEXT NOT NULL,
        handle TEXT NOT NULL,
        detail TEXT NOT NULL,
        outcome TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_handle ON audit (handle);

    CREATE TABLE note (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- What staff noted on the page, and accuracy checks; body is JSON.
    CREATE TABLE hand (
        id INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX hand_at ON hand (at_ns);
    """,
    """
    -- Released tables of who came, as eye sent them; number counts from one and names the table in messages.
    CREATE TABLE trait_table (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        epoch INTEGER NOT NULL,
        run TEXT NOT NULL,
        run_number INTEGER NOT NULL,
        boot TEXT NOT NULL,
        direction TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        k INTEGER NOT NULL,
        people INTEGER NOT NULL,
        blocks TEXT NOT NULL,               -- JSON: [companies, sexes, bands, people] each
        arrived_ns INTEGER NOT NULL,
        acked_ns INTEGER,                   -- the broker took it; NULL: not yet
        UNIQUE (run, run_number)
    ) STRICT;
    CREATE INDEX trait_table_pending ON trait_table (number) WHERE acked_ns IS NULL;
    """,
)
