# SPDX-License-Identifier: Apache-2.0
"""Who came, with the house's real processes and the bundled clip."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from nigiwai.lab.demo import Part
from tests.conftest import house_settings

VIEW = '[notice]\nsince = "2020-01-01"\n[view]\nheight_m = 2.8\ntilt_deg = 30.0\nfov_deg = 84.0\ndistortion = 0.1\n'


@pytest.mark.timeout(1_000)
def test_everybody_counted_is_in_a_table_that_withholds_what_it_must(tmp_path: Path) -> None:
    """The clip lasts 40 s: too short for any table to tell more than how many passed."""
    settings = house_settings(tmp_path, camera='source = "recording"\npath = "{clip}"\npace = "fast"', extra=VIEW)
    link = Part("link", settings)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "door.sock").exists():
            assert time.monotonic() < deadline, link.why_it_ended()
            time.sleep(0.05)
        eye = Part("eye", settings)
        try:
            assert eye.process.wait(900) == 0, eye.why_it_ended()
            assert eye.process.stdout is not None
            counted = json.loads(eye.process.stdout.read().splitlines()[-1])["counted"]["door"]
        finally:
            eye.close()
        with closing(sqlite3.connect(f"file:{tmp_path / 'ledger.db'}?mode=ro", uri=True)) as db:
            tables = db.execute("SELECT direction, people, blocks FROM trait_table ORDER BY number").fetchall()
    finally:
        link.close()
    assert {direction: people for direction, people, _ in tables} == counted
    assert {blocks for *_, blocks in tables} == {"[]"}
