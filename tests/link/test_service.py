# SPDX-License-Identifier: Apache-2.0
"""link as a process with a real Mosquitto: what is counted arrives, whatever goes away in between."""

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from nigiwai.link.messages import SENT
from nigiwai.link.schema import name_of, schema_of
from tests.link.harness import BRANCH, Broker, Ear, FakeEye, Link, consuming, wait_for

SCHEMAS = {name_of(kind): jsonschema.Draft202012Validator(schema_of(kind)) for kind in SENT}


def assert_valid(ear: Ear) -> None:
    """Every message heard validates against its schema."""
    for topic, payload, _ in ear.heard:
        leaf = topic.split("/")[4]
        if leaf != "request":
            SCHEMAS[leaf].validate(json.loads(payload))


def test_what_eye_counts_arrives_at_an_independent_subscriber(broker: Broker, link: Link, eye: FakeEye) -> None:
    ear = Ear(broker.port)
    link.start()
    for i in range(24):
        eye.count(i % 3, i % 2)
    eye.deliver()

    code = link.stop()

    wait_for(
        lambda: ear.messages("availability")[-1:] and ear.messages("availability")[-1]["state"] == "stopped", "stop"
    )
    ear.close()
    records = {m["record"]: m for m in ear.messages("counts")}
    assert code == 0
    assert sorted(records) == list(range(1, len(records) + 1))
    assert sum(m["gates"]["door"]["in"] for m in records.values()) == eye.entered
    assert sum(m["gates"]["door"]["out"] for m in records.values()) == eye.left
    assert records[len(records)]["total"] == {"door": {"in": eye.entered, "out": eye.left}}
    assert ear.messages("totals")[-1]["total"] == {"door": {"in": eye.entered, "out": eye.left}}
    assert [m["state"] for m in ear.messages("availability")] == ["online", "stopped"]
    assert ear.messages("info")[-1]["model"] == "test"
    assert_valid(ear)


def test_the_will_says_offline_when_link_dies(broker: Broker, link: Link) -> None:
    ear = Ear(broker.port)
    link.start()
    wait_for(lambda: ear.messages("availability"), "online")

    link.stop(signal.SIGKILL)

    wait_for(lambda: [m["state"] for m in ear.messages("availability")] == ["online", "offline"], "the will")
    ear.close()


def test_link_starts_and_keeps_its_ledger_without_a_broker(broker: Broker, link: Link, eye: FakeEye) -> None:
    broker.stop()
    link.start()
    for _ in range(6):
        eye.count(2, 1)
    eye.deliver()

    broker.start()
    ear = Ear(broker.port)

    wait_for(lambda: sum(m["gates"]["door"]["in"] for m in ear.messages("counts")) >= 8, "the closed intervals")
    assert link.stop() == 0
    ear.close()
    assert_valid(ear)


def test_a_broker_that_goes_up_and_down_costs_nothing(broker: Broker, link: Link, eye: FakeEye, tmp_path: Path) -> None:
    with consuming(tmp_path, broker.port) as (consumer, ear):
        link.start()
        for sign in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            for _ in range(12):
                eye.count(1, 1)
            eye.deliver()
            broker.stop(sign)
            eye.count(1, 1)
            eye.deliver()
            broker.start()
            wait_for(lambda: ear.client.is_connected(), "the consumer to come back")
        link.stop()
        link.start()

        def done() -> bool:
            eye.pump()
            with consumer.lock:
                return consumer.sums(BRANCH) == {"door": [eye.entered, eye.left]} and not [*consumer.gaps(BRANCH)]

        wait_for(done, "all counts once and no gap", 60)
        assert_valid(ear)


def test_a_port_that_is_taken_is_named(tmp_path: Path, broker: Broker) -> None:
    link = Link(tmp_path, broker.port, page_port=broker.port)

    link.start()
    assert link.process is not None
    code = link.process.wait(30)

    assert code == 7
    assert f"page.port = {broker.port}: taken" in link.log()
    assert "Traceback" not in link.log()


def test_a_second_link_is_refused(broker: Broker, link: Link) -> None:
    link.start()
    wait_for(lambda: link.socket.exists(), "link")
    second = Link(link.folder, broker.port)
    second.start()
    assert second.process is not None

    assert second.process.wait(30) == 9
    assert "Traceback" not in link.log()


def test_the_page_is_told_of_a_bin_within_a_second(link: Link, eye: FakeEye) -> None:
    link.start()
    url = f"http://127.0.0.1:{link.page_port}"
    wait_for(lambda: b"true" in _read(f"{url}/healthz"), "the page")
    with urllib.request.urlopen(f"{url}/api/events", timeout=10) as stream:  # noqa: S310 # our own page
        eye.count(7, 2)
        eye.deliver()
        seen = _next_with_counts(stream)

    assert (seen["in"], seen["out"], seen["inside"]) == (7, 2, 5)
    assert seen["gates"] == [{"name": "door", "in": 7, "out": 2}]


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 # our own page
            return bytes(answer.read())
    except OSError:
        return b""


def _next_with_counts(stream: object) -> dict:
    for line in stream:  # type: ignore[attr-defined]
        if line.startswith(b"data: "):
            seen = json.loads(line[6:])
            if seen["in"]:
                return dict(seen)
    pytest.fail("the stream ended")


def test_a_damaged_ledger_is_salvaged_and_says_so(broker: Broker, link: Link, eye: FakeEye) -> None:
    link.start()
    for _ in range(240):
        eye.count(1, 0)
        if eye.pump() > 200:
            break
    eye.deliver(200)
    link.stop()
    path = link.folder / "ledger.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        root, *_ = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'record'").fetchone()
    assert pages > 5
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4_096 : root * 4_096] = b"\xff" * 4_096
    path.write_bytes(content)

    ear = Ear(broker.port)
    link.start()
    eye.close()
    wait_for(lambda: ear.messages("health") and ear.messages("health")[-1]["storage"] == "warn", "the report")

    health = ear.messages("health")[-1]
    info = ear.messages("info")[-1]
    assert health["cause"]["storage"] == "storage_salvaged"
    assert health["losses"]["salvaged"] >= 1
    assert info["previous_epoch"] is not None
    assert info["previous_epoch"] != info["epoch"]
    assert (link.folder / "ledger.db.damaged").exists()
    assert link.stop() == 0
    ear.close()


def test_a_page_damaged_while_link_runs_ends_it_and_the_next_start_salvages(
    broker: Broker, link: Link, eye: FakeEye, started: contextlib.ExitStack
) -> None:
    """systemd starts link again; eye keeps what was not acknowledged, and says nothing was sent that was not."""
    link.start()
    for _ in range(30):
        eye.count(1, 0)
    eye.deliver()
    path = link.folder / "ledger.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        roots = [row[0] for row in db.execute("SELECT rootpage FROM sqlite_master WHERE name IN ('bin', 'record')")]
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        for root in roots:
            file.seek((root - 1) * size)
            file.write(b"\xff" * size)
    with contextlib.closing(sqlite3.connect(path)) as db:  # a commit by another makes link read its pages again
        db.execute("INSERT INTO note VALUES ('other', 'x')")
        db.commit()
    assert link.process is not None

    def ended() -> bool:
        eye.count(1, 0)
        eye.pump()
        return link.process is not None and link.process.poll() is not None

    wait_for(ended, "link to end")
    assert link.process.returncode == 8
    assert "it is damaged; link salvages it at its next start" in link.log()
    assert "Traceback" not in link.log()
    waiting = eye.pump()

    link.start()
    eye.deliver()
    ear = Ear(broker.port)
    started.callback(ear.close)
    wait_for(lambda: ear.messages("health") and ear.messages("health")[-1]["losses"]["salvaged"], "the report")
    wait_for(lambda: ear.messages("totals")[-1:] and _entered(ear) >= waiting, "what eye had kept")

    assert waiting > 0
    assert _entered(ear) <= eye.entered
    assert link.stop() == 0


def _entered(ear: Ear) -> int:
    return int(ear.messages("totals")[-1]["total"]["door"]["in"])


def test_link_stays_small_and_never_loads_an_image_library(link: Link, eye: FakeEye) -> None:
    link.start()
    for _ in range(60):
        eye.count(1, 1)
    eye.deliver()
    assert link.process is not None
    status = Path(f"/proc/{link.process.pid}/status").read_text()
    maps = Path(f"/proc/{link.process.pid}/maps").read_text()

    resident_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident_kib <= 80 * 1_024
    assert not [name for name in ("cv2", "onnxruntime", "numpy") if name in maps]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two MiB; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_nothing_is_lost_or_claimed(broker: Broker, small_disk: Path) -> None:
    link = Link(small_disk, broker.port, interval_s=10)
    ear = Ear(broker.port)
    link.start()
    eye = FakeEye(link.socket)
    eye.count(1, 0)
    eye.deliver()
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4_096):
            pass

    def told(light: str) -> bool:
        eye.pump()
        return bool(ear.messages("health")) and ear.messages("health")[-1]["storage"] == light

    for _ in range(12):
        eye.count(3, 2)
    wait_for(lambda: told("bad"), "the storage light to turn red")
    unacknowledged = eye.pump()
    before = ear.messages("counts")
    filler.unlink()
    eye.deliver()
    assert link.stop() == 0
    wait_for(lambda: ear.messages("availability")[-1]["state"] == "stopped", "stop")
    ear.close()
    eye.close()

    counts = {m["record"]: m for m in ear.messages("counts")}
    assert unacknowledged > 0
    assert all(m["gates"]["door"]["in"] >= 0 for m in before)
    assert sum(m["gates"]["door"]["in"] for m in counts.values()) == eye.entered
    assert "storage_full" in [m["cause"] for m in ear.messages("alert") if m["subject"] == "storage"]
    assert "Traceback" not in link.log()


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """A card of 32 MiB with a file system of its own, mounted; needs root and a loop device."""
    image, folder = tmp_path / "card.img", tmp_path / "card"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * 1_048_576)
    made = subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=False)
    if made.returncode != 0 or _mount(image, folder) != 0:
        pytest.skip("a card can only be mounted by root where there are loop devices")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def _mount(image: Path, folder: Path) -> int:
    return subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=False).returncode


def test_a_card_that_is_read_only_at_the_start_is_told_and_waited_for(
    card: Path, tmp_path: Path, started: contextlib.ExitStack
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", card], check=True, capture_output=True)
    link = Link(tmp_path, 1, interval_s=10, mqtt="enabled = false")
    link.settings.write_text(link.settings.read_text().replace(f"{tmp_path}/ledger.db", f"{card}/ledger.db"))
    started.callback(link.stop, signal.SIGKILL)
    link.start()
    page = f"http://127.0.0.1:{link.page_port}/api/now"
    wait_for(lambda: b"storage_failed" in _read(page), "the page to say so")
    assert b'"code": "E18"' in _read(page).replace(b'"code":"', b'"code": "')
    assert "E18: " in link.log()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    eye.count(5, 1)

    subprocess.run(["mount", "-o", "remount,rw", card], check=True, capture_output=True)
    eye.deliver()

    assert link.stop() == 0
    assert "Traceback" not in link.log()


@pytest.mark.slow
def test_a_card_that_turns_read_only_is_told_and_nothing_is_lost_or_claimed(
    broker: Broker, card: Path, tmp_path: Path, started: contextlib.ExitStack
) -> None:
    """As an SD card does at the end of its life; it is checked, put back, and everything arrives once."""
    link = Link(tmp_path, broker.port, interval_s=10)
    link.settings.write_text(link.settings.read_text().replace(f"{tmp_path}/ledger.db", f"{card}/ledger.db"))
    ear = Ear(broker.port)
    started.callback(ear.close)
    started.callback(link.stop, signal.SIGKILL)
    link.start()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    for _ in range(3):
        eye.count(1, 0)
    eye.deliver()
    wait_for(lambda: ear.messages("counts"), "the first record")
    subprocess.run(["mount", "-o", "remount,abort", card], check=True, capture_output=True)

    for _ in range(12):
        eye.count(1, 1)

    def told() -> bool:
        eye.pump()
        return bool(ear.messages("health")) and ear.messages("health")[-1]["storage"] == "bad"

    wait_for(told, "the storage light to turn red")
    waiting = eye.pump()
    link.stop()
    subprocess.run(["umount", card], check=True, capture_output=True)
    # A copy: while another program's namespace still holds the old mount, the same file would come back read-only.
    image = shutil.copy(tmp_path / "card.img", tmp_path / "mended.img")
    subprocess.run(["e2fsck", "-fy", image], check=False, capture_output=True)
    assert _mount(Path(image), card) == 0
    link.start()
    eye.deliver()
    assert link.stop() == 0
    wait_for(lambda: [m["state"] for m in ear.messages("availability")][-2:] == ["online", "stopped"], "stop")

    assert waiting > 0
    assert ear.messages("counts")[-1]["total"] == {"door": {"in": eye.entered, "out": eye.left}}
    assert [m["cause"] for m in ear.messages("alert") if m["light"] == "bad" and m["subject"] == "storage"]
    assert "Traceback" not in link.log()


def test_a_disk_that_is_full_at_the_start_is_waited_for(broker: Broker, small_disk: Path, tmp_path: Path) -> None:
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4_096):
            pass
    link = Link(tmp_path, broker.port, interval_s=10)
    link.settings.write_text(link.settings.read_text().replace(f"{tmp_path}/ledger.db", f"{small_disk}/ledger.db"))
    link.start()
    page = f"http://127.0.0.1:{link.page_port}/api/now"
    wait_for(lambda: b"storage_f" in _read(page), "the page to say so")
    eye = FakeEye(link.socket)
    eye.count(5, 1)
    eye.pump()

    filler.unlink()
    eye.deliver()

    assert link.stop() == 0
    assert "Traceback" not in link.log()
    eye.close()
