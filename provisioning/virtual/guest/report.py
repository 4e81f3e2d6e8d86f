#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inside the virtual device: tells its state on the console every two seconds or less often, for people and tests.

One process that stays, because starting a dozen programs for every line would keep an emulated processor from counting.
"""

import contextlib
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

LEDGER = "file:/var/lib/nigiwai/ledger.db?mode=ro"
EVERY_S = 2.0
REST = 9.0
"""So many times as long as telling took: on an emulated processor it takes seconds, which are taken from counting."""
ROOMS = ("eye", "link")
PROPERTIES = ("ActiveState", "MainPID", "NRestarts", "MemoryCurrent", "MemoryMax")

Unit = dict[str, str]


def ask(question: str) -> object:
    """The first value of the ledger's answer; "none" where there is no ledger yet, or it cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(LEDGER, uri=True, timeout=2)) as ledger:
            return ledger.execute(question).fetchone()[0]
    except sqlite3.Error:
        return "none"


def passes() -> str:
    """How many went in and out in each start of eye, oldest first: 10+4,3+1."""
    sums = (
        "SELECT group_concat(passed, ',') FROM (SELECT sum(json_extract(gates, '$.door[0]')) || '+' ||"
        " sum(json_extract(gates, '$.door[1]')) AS passed FROM bin GROUP BY run ORDER BY min(boot), min(start_ms))"
    )
    return str(ask(sums))


def output(*command: str) -> str:
    """What a program says, whether it fails or not."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own words


def units() -> dict[str, Unit]:
    """What systemd says of each room's unit."""
    names = [f"nigiwai-{room}.service" for room in ROOMS]
    blocks = output("systemctl", "show", "--property", ",".join(PROPERTIES), *names).split("\n\n")
    return {room: dict(re.findall(r"(\w+)=(.*)", block)) for room, block in zip(ROOMS, blocks, strict=False)}


def in_kib(path: str, name: str) -> int:
    """A value of a file of /proc, in KiB; 0 where the process is gone."""
    with contextlib.suppress(OSError):
        if found := re.search(rf"^{name}:\s+(\d+) kB", Path(path).read_text(encoding="utf-8"), re.MULTILINE):
            return int(found[1])
    return 0


def driver() -> str:
    """Which driver the camera has."""
    link = Path("/sys/class/video4linux/video0/device/driver")
    name = Path("/sys/class/video4linux/video0/name")
    return link.resolve().name if link.exists() else name.read_text().strip() if name.exists() else "none"


def uptime() -> int:
    """Seconds since the kernel began."""
    return int(float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0]))


def journal(room: str) -> list[str]:
    """The last lines of a room, with their times in the machine's."""
    command = ("journalctl", "--no-pager", "--output=short-monotonic", "--lines=30", f"--unit=nigiwai-{room}")
    return output(*command).splitlines()


def said() -> str:
    """Why eye does not run, by its own last word."""
    return next((re.sub(r"\s+", "_", line)[:160] for line in reversed(journal("eye")) if "code=" in line), "nothing")


def tell_ends(restarts: dict[str, str], of: dict[str, Unit]) -> dict[str, str]:
    """Tells what a room said around each end after which systemd started it again; returns how many there were."""
    counted = {room: of[room].get("NRestarts", "0") for room in ROOMS}
    for room in ROOMS:
        if counted[room] != restarts[room]:
            print(*(f"@= {room}: {line}" for line in journal(room)), sep="\n", flush=True)  # noqa: T201
    return counted


def facts(of: dict[str, Unit]) -> Iterator[tuple[str, object]]:
    """Name and value of each fact of a line."""
    yield "uptime", uptime()
    for room in ROOMS:
        yield room, of[room].get("ActiveState")
    yield "restarts", "+".join(of[room].get("NRestarts", "") for room in ROOMS)
    yield "bins", ask("SELECT count(*) FROM bin")
    yield "records", ask("SELECT count(*) FROM record")
    yield "sent", ask("SELECT count(*) FROM record WHERE acked_ns IS NOT NULL")
    yield "passes", passes()
    yield "camera", driver()
    yield "memory", f"{of['eye'].get('MemoryCurrent')}/{of['eye'].get('MemoryMax')}"
    # Proportional: shared libraries are divided among those who use them.
    yield "pss", "+".join(str(in_kib(f"/proc/{of[room].get('MainPID')}/smaps_rollup", "Pss")) for room in ROOMS)
    yield "free", f"{in_kib('/proc/meminfo', 'MemAvailable')}/{in_kib('/proc/meminfo', 'MemTotal')}"
    if of["eye"].get("ActiveState") != "active":
        yield "said", said()


def tell(word: str, values: Iterator[tuple[str, object]]) -> None:
    """Writes a line."""
    print("@@", *word.split(), *(f"{name}={value}" for name, value in values), flush=True)  # noqa: T201


def main() -> None:
    """Tells what the ledger was found like, and then the state for ever."""
    whole, bins, records = (
        ask(q) for q in ("PRAGMA integrity_check", "SELECT count(*) FROM bin", "SELECT count(*) FROM record")
    )
    tell("begin", iter([("uptime", uptime()), ("integrity", whole), ("bins", bins), ("records", records)]))
    restarts = dict.fromkeys(ROOMS, "0")
    while True:
        began = time.monotonic()
        of = units()
        restarts = tell_ends(restarts, of)
        tell("", facts(of))
        time.sleep(max(EVERY_S, REST * (time.monotonic() - began)))


if __name__ == "__main__":
    main()
