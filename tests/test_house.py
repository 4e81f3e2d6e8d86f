# SPDX-License-Identifier: Apache-2.0
"""The whole house as its users run it: real processes, a real broker, the bundled clip."""

import json
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nigiwai.lab import broker
from nigiwai.lab.demo import Part, read_truth
from nigiwai.lab.subscriber import Subscriber
from tests.conftest import ROOT, Nigiwai, house_settings

TRUTH = read_truth(ROOT / "models" / "demo" / "entrance.truth.jsonl")
FAST = 'source = "recording"\npath = "{clip}"\npace = "fast"'
LOOP = 'source = "recording"\npath = "{clip}"\nloop = true'


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s:g} s"
        time.sleep(0.05)


@pytest.fixture
def parts() -> Iterator[list[Part]]:
    """Services that are ended whatever becomes of the test."""
    started: list[Part] = []
    yield started
    for part in reversed(started):
        part.close()


def start(parts: list[Part], name: str, settings: Path) -> Part:
    part = Part(name, settings)
    parts.append(part)
    return part


def end(part: Part, number: signal.Signals = signal.SIGTERM) -> int:
    part.process.send_signal(number)
    return part.process.wait(60)


def counted_by(eye: Part) -> dict[str, dict[str, int]]:
    """What eye says at its end that it counted."""
    assert eye.process.wait(120) == 0, eye.why_it_ended()
    assert eye.process.stdout is not None
    sums: dict[str, dict[str, int]] = json.loads(eye.process.stdout.read().splitlines()[-1])["counted"]
    return sums


def page(port: int, path: str) -> bytes:
    with closing(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)) as answer:
        return bytes(answer.read())


def test_the_demo_counts_what_is_true_and_delivers_what_it_counts(nigiwai: Nigiwai) -> None:
    result = nigiwai("demo", "--once", timeout_s=240)
    assert result.returncode == 0, result.stderr
    sums = json.loads(result.stdout.splitlines()[-1])
    assert sums["published"] == sums["counted"]
    assert sums["counted"] == sums["true"] == TRUTH


def test_the_demo_works_with_a_broker_in_python(nigiwai: Nigiwai) -> None:
    """On a machine without Mosquitto and without root."""
    pytest.importorskip("amqtt", reason="amqtt is not installed")
    result = nigiwai("demo", "--once", "--broker", "amqtt", timeout_s=240)
    assert result.returncode == 0, result.stderr
    assert "amqtt" in result.stderr
    sums = json.loads(result.stdout.splitlines()[-1])
    assert sums["published"] == sums["counted"] == TRUTH


def test_link_is_killed_again_and_again_and_nothing_counted_is_lost(tmp_path: Path, parts: list[Part]) -> None:
    with broker.running_broker(tmp_path) as running:
        port = broker.free_port()
        settings = house_settings(tmp_path, camera=FAST, broker_port=running.port, page_port=port)
        subscriber = Subscriber(running, "nigiwai/v1/site/device")
        assert subscriber.subscribed.wait(30)
        link = start(parts, "link", settings)
        wait_for((tmp_path / "door.sock").exists, "the door")
        eye = start(parts, "eye", settings)
        for _ in range(3):
            before = bins_stored(tmp_path / "ledger.db")
            wait_for(lambda: bins_stored(tmp_path / "ledger.db") > before or eye.process.poll() is not None, "a bin")  # noqa: B023
            end(link, signal.SIGKILL)
            link = start(parts, "link", settings)
        counted = counted_by(eye)
        wait_for(lambda: passed(now(port)) == counted, "the page's counts")  # the last link may only just have begun
        assert end(link) == 0, link.why_it_ended()
        assert subscriber.stopped.wait(30)
        assert subscriber.published == counted == TRUTH
        subscriber.close()


def bins_stored(ledger: Path) -> int:
    """How many bins are committed, read beside link as anybody with the file could."""
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM bin").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_without_a_broker_link_starts_counts_and_keeps(tmp_path: Path, parts: list[Part]) -> None:
    nobody = broker.free_port()
    port = broker.free_port()
    settings = house_settings(tmp_path, camera=FAST, broker_port=nobody, page_port=port)
    link = start(parts, "link", settings)
    wait_for((tmp_path / "door.sock").exists, "the door")
    counted = counted_by(start(parts, "eye", settings))
    wait_for(lambda: passed(now(port)) == counted, "the page's counts")
    assert end(link) == 0, link.why_it_ended()
    assert counted == TRUTH


def now(port: int) -> dict[str, object]:
    try:
        answer: dict[str, object] = json.loads(page(port, "/api/now"))
    except OSError:
        return {}
    return answer


def passed(answer: dict[str, object]) -> dict[str, dict[str, int]]:
    """In and out per gate today, from the page's JSON."""
    gates = answer.get("gates")
    assert gates is None or isinstance(gates, list)
    return {g["name"]: {"in": g["in"], "out": g["out"]} for g in gates or []}


def test_both_processes_stay_within_their_memory(tmp_path: Path, parts: list[Part]) -> None:
    """eye at most 200 MB with the model loaded, link at most 80 MB, while the page is watched and a broker is there."""
    with broker.running_broker(tmp_path) as running:
        port = broker.free_port()
        settings = house_settings(tmp_path, camera=LOOP, broker_port=running.port, page_port=port)
        link = start(parts, "link", settings)
        wait_for((tmp_path / "door.sock").exists, "the door")
        eye = start(parts, "eye", settings)
        wait_for(lambda: any(n["in"] for n in passed(now(port)).values()), "a count on the page")
        page(port, "/")
        assert resident_mb(eye) <= 200
        assert resident_mb(link) <= 80
        assert end(eye) == 0, eye.why_it_ended()
        assert end(link) == 0, link.why_it_ended()


def resident_mb(part: Part) -> float:
    """Resident memory in MB (10^6 bytes)."""
    for line in Path(f"/proc/{part.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no such process")


def test_a_taken_port_is_told_with_its_number(tmp_path: Path, nigiwai: Nigiwai, parts: list[Part]) -> None:
    port = broker.free_port()
    first = tmp_path / "first"
    second = tmp_path / "second"
    first.mkdir()
    second.mkdir()
    link = start(parts, "link", house_settings(first, camera=FAST, page_port=port))
    wait_for(lambda: now(port), "the first page")
    result = nigiwai("link", "--settings", house_settings(second, camera=FAST, page_port=port))
    assert result.returncode == 7, result.stderr
    assert f"page.port = {port}" in result.stderr
    assert "Traceback" not in result.stderr
    assert end(link) == 0


def test_check_says_one_line_a_thing(tmp_path: Path, nigiwai: Nigiwai) -> None:
    with broker.running_broker(tmp_path) as running:
        result = nigiwai("check", "--settings", house_settings(tmp_path, camera=FAST, broker_port=running.port))
    assert result.returncode == 0, result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines() if line[0] != " "] == [
        "settings", "model", "camera", "broker", "clock", "disk",
    ]  # fmt: skip


def test_check_names_what_fails_and_what_to_do(tmp_path: Path, nigiwai: Nigiwai) -> None:
    settings = house_settings(
        tmp_path, camera='source = "v4l2"\ndevice = "/dev/video77"', broker_port=broker.free_port()
    )
    result = nigiwai("check", "--settings", settings)
    assert result.returncode == 4
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line[0] != " "}
    assert "FAIL" in lines["camera"]
    assert "/dev/video77" in lines["camera"]
    assert "FAIL" in lines["broker"]


def test_eye_ends_with_the_camera_and_hands_over_what_it_counted(tmp_path: Path, parts: list[Part]) -> None:
    """A recording that breaks off in the middle stands for a camera that is unplugged."""
    clip = (ROOT / "models" / "demo" / "entrance.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip)
    settings = house_settings(tmp_path, camera=f'source = "recording"\npath = "{cut}"\npace = "fast"')
    start(parts, "link", settings)
    wait_for((tmp_path / "door.sock").exists, "the door")
    with cut.open("r+b") as file:
        # The second half of the pictures is overwritten; the index at either end of the file stays whole.
        half = len(clip) // 2
        file.seek(half)
        file.write(b"\0" * (len(clip) // 4))
    eye = start(parts, "eye", settings)
    code = eye.process.wait(120)
    assert code in (0, 4)
    assert bins_stored(tmp_path / "ledger.db") > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_services_end_in_order_when_asked(tmp_path: Path, parts: list[Part], number: signal.Signals) -> None:
    settings = house_settings(tmp_path, camera=LOOP)
    link = start(parts, "link", settings)
    wait_for((tmp_path / "door.sock").exists, "the door")
    eye = start(parts, "eye", settings)
    wait_for(lambda: bins_stored(tmp_path / "ledger.db") > 0, "a bin")
    assert end(eye, number) == 0
    assert end(link, number) == 0
    assert not (tmp_path / "door.sock").exists()


def test_the_demo_cleans_up_after_itself(nigiwai: Nigiwai, tmp_path: Path) -> None:
    result = nigiwai("demo", "--once", timeout_s=240, TMPDIR=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert running.returncode == 1
