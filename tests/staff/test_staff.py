# SPDX-License-Identifier: Apache-2.0
"""The commands for staff with a terminal."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nigiwai.link.messages import Cause, Light, Subject
from nigiwai.staff import logs, sandbox, status, wipe, words
from nigiwai.staff.words import Language
from tests.conftest import ROOT, Nigiwai

NOW = {
    "in": 12,
    "out": 7,
    "queue": 3,
    "lights": [
        {"subject": "camera", "light": "bad", "cause": "covered"},
        {"subject": "clock", "light": "warn", "cause": "clock_unchecked"},
    ],
}


@pytest.mark.parametrize("named", [Cause, Light, Subject])
def test_every_word_of_the_lights_is_there_in_both_languages(named: type) -> None:
    table = {Cause: words.CAUSES, Light: words.LIGHTS, Subject: words.SUBJECTS}[named]
    assert set(table) == set(named)
    assert all(bool(a) == bool(b) for a, b in table.values())


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ja_JP.UTF-8"}, Language.JA),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, Language.EN),
        ({}, Language.EN),
    ],
)
def test_the_language_is_the_terminals(environment: dict[str, str], language: Language) -> None:
    assert words.language_of(environment) is language


def test_status_tells_counts_and_lights_in_japanese() -> None:
    lines = list(status.page_lines(NOW, Language.JA))
    assert [(line.thing, line.well, line.text) for line in lines] == [
        ("本日", True, "入 12 出 7, 未送信 3 件"),
        ("カメラ", False, "異常 カメラが覆われています"),
        ("時計", True, "注意 時刻が確認されていません"),
    ]


def test_status_tells_a_service_that_failed() -> None:
    failed = {"ActiveState": "failed", "Result": "watchdog", "NRestarts": "4"}
    assert status.room("eye", failed, Language.EN).text == "NOT RUNNING (failed, watchdog), restarted 4 times"
    assert status.room("eye", {"ActiveState": "active", "NRestarts": "0"}, Language.JA).text == "動作中"


def test_status_without_a_page_is_not_well() -> None:
    (line,) = status.page_lines({}, Language.EN)
    assert (line.well, line.text) == (False, "link's page does not answer")


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("wpa: psk=hunter22 x", "hunter22"),
        ("password: s3cret", "s3cret"),
        ("PIN = 12345678 tried", "12345678"),
        ("code ABCD-EFGH-JKLM-NPQR is used", "ABCD-EFGH"),
        ("mqtt://user:word@host/ refused", "word"),
        ("Authorization: Bearer abcdef", "abcdef"),
        ("-----BEGIN EC PRIVATE KEY-----MHcCAQ==-----END EC PRIVATE KEY-----", "MHcCAQ"),
        ("key MHcCAQEEIBkg1bKTPKbc6mNxkR0mXh7hVfZq9mF8mJ0k3o2l1pQr", "MHcCAQEE"),
        ("wlan0: associated with 02:00:5e:10:00:01", "02:00:5e"),
    ],
)
def test_logs_black_out_what_may_be_a_secret(line: str, secret: str) -> None:
    assert secret not in logs.redact(line)
    assert logs.BLACK in logs.redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-23T12:00:00+09:00 east nigiwai[80]: I nigiwai.link: started, version 0.1.0",
        "model nigiwai-person hash " + hashlib.sha256(b"x").hexdigest(),
        "nigiwai-eye.service: Main process exited, code=exited, status=4/NOPERMISSION"[:46],
        "camera: no picture for 3.0 s",
    ],
)
def test_logs_leave_alone_what_is_none(line: str) -> None:
    assert logs.redact(line) == line


def test_the_units_lines_are_told_apart() -> None:
    needed, restricting = sandbox.restrictions_of((ROOT / "systemd/nigiwai-eye.service").read_text(encoding="utf-8"))
    assert {"User=nigiwai-eye", "ExecPaths=/usr /opt/nigiwai", "DeviceAllow=char-video4linux rw"} <= set(needed)
    assert {"PrivateNetwork=yes", "MemoryDenyWriteExecute=yes", "DevicePolicy=closed"} <= set(restricting)
    assert not [r for r in restricting if r.startswith(("ExecStart", "Type", "Watchdog", "Restart", "["))]


@pytest.mark.parametrize("guilty", [set(), {0}, {7}, {39}, {3, 4}, {0, 20, 39}, set(range(40))])
def test_the_blocking_lines_are_found_with_few_starts(guilty: set[int]) -> None:
    lines = [f"Line{n}=yes" for n in range(40)]
    bad = {lines[n] for n in guilty}
    starts = 0

    def works(tried: Sequence[str]) -> bool:
        nonlocal starts
        starts += 1
        return not bad & set(tried)

    assert set(sandbox.blockers(works, lines)) == bad
    assert starts <= 1 + 12 * len(guilty)


def test_a_line_that_blocks_only_with_another_is_found() -> None:
    """Either may go; one is named."""
    found = sandbox.blockers(lambda tried: not {"A=1", "B=1"} <= set(tried), ["A=1", "C=1", "B=1", "D=1"])
    assert found in (["A=1"], ["B=1"])


def device(tmp_path: Path) -> Path:
    """A device with a ledger, a damaged one that was kept, and keys. Returns its settings file."""
    import sqlite3
    from contextlib import closing

    (tmp_path / "lib").mkdir()
    with closing(sqlite3.connect(tmp_path / "lib/ledger.db")) as db:
        db.execute("CREATE TABLE record (x)")
        db.executemany("INSERT INTO record VALUES (?)", [(1,), (2,)])
        db.commit()
    (tmp_path / "lib/ledger.db.damaged-1").write_bytes(b"old")
    (tmp_path / "lib/other.txt").write_text("not ours")
    (tmp_path / "etc/nigiwai/credentials").mkdir(parents=True)
    (tmp_path / "etc/nigiwai/credentials/device.key").write_text("THE KEY")
    (tmp_path / "etc/nigiwai/enrolment.json").write_text("{}")
    settings = tmp_path / "nigiwai.toml"
    settings.write_text(
        f'[device]\nsite = "hall"\nname = "east"\n[ledger]\npath = "{tmp_path}/lib/ledger.db"\n'
        '[camera]\nsource = "v4l2"\n'
    )
    return settings


def test_wipe_erases_ledger_and_keys_and_certifies_it(tmp_path: Path, nigiwai: Nigiwai) -> None:
    settings = device(tmp_path)
    before = hashlib.sha256((tmp_path / "lib/ledger.db").read_bytes()).hexdigest()
    out = tmp_path / "erased.txt"
    done = nigiwai("wipe", "--settings", settings, "--device", "hall/east", "--certificate", out, "--root", tmp_path)
    assert done.returncode == 0, done.stderr
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["erased.txt", "lib/other.txt", "nigiwai.toml"]
    text = out.read_text(encoding="utf-8")
    assert text.strip() == done.stdout.strip()
    assert "件数 / Records of counts: 2" in text
    assert before in text
    assert "THE KEY" not in text
    assert hashlib.sha256(b"THE KEY").hexdigest() not in text


@pytest.mark.parametrize("typed", ["east", "", "hall/west"])
def test_wipe_asks_for_the_devices_name(tmp_path: Path, nigiwai: Nigiwai, typed: str) -> None:
    settings = device(tmp_path)
    done = nigiwai("wipe", "--settings", settings, "--device", typed, "--root", tmp_path)
    assert (done.returncode, "nothing was erased" in done.stderr) == (8, True)
    assert (tmp_path / "lib/ledger.db").exists()


def test_wipe_finds_out_in_time_that_the_certificate_cannot_be_written(tmp_path: Path, nigiwai: Nigiwai) -> None:
    settings = device(tmp_path)
    where = tmp_path / "nowhere/erased.txt"
    done = nigiwai("wipe", "--settings", settings, "--device", "hall/east", "--certificate", where, "--root", tmp_path)
    assert done.returncode == 8
    assert (tmp_path / "lib/ledger.db").exists()


def test_a_damaged_ledger_is_erased_too(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(b"no database")
    report = wipe.wipe(ledger, tmp_path, "hall/east", datetime(2026, 11, 23, tzinfo=UTC))
    assert (report.records, [Path(f.path).name for f in report.files]) == (None, ["ledger.db"])
    assert "Records of counts: ?" in wipe.certificate(report)


def test_trouble_with_the_enrolment_is_told_with_its_code(tmp_path: Path) -> None:
    from nigiwai.enrol import station

    places = station.Places(tmp_path)
    station.tell(places, "E12", "…")
    (line,) = status._enrolment(places, Language.JA)
    assert not line.well
    assert line.text == "E12 時計が合っていません。ネットワークにつなぎ、数分待ってください。"
    assert json.loads(places.told.read_text())["en"]
