# SPDX-License-Identifier: Apache-2.0
"""The units, users and rules as files: what they promise, and whether systemd's own tools understand them.

Whether the kernel keeps the promises is shown in test_sandbox.py, on a running system.
"""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.system.unit_files import UNITS, read_unit, with_command, words

ANALYZE = shutil.which("systemd-analyze")
NFT = shutil.which("nft") or shutil.which("nft", path="/usr/sbin")

needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SERVICES = sorted(UNITS.glob("*.service"))
ALL_UNITS = sorted([*SERVICES, *UNITS.glob("*.path"), *UNITS.glob("*.timer"), *UNITS.glob("*.target")])

MAY_BE_UNKNOWN = {"RestartSteps", "RestartMaxDelaySec", "RestartMode", "MemoryPressureWatch"}
"""Keys that systemd knows from 254 on; earlier ones say so and go on."""


def run(*command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("name", "limit"), [("nigiwai-eye.service", 10), ("nigiwai-link.service", 15)], ids=["eye", "link"]
)
@needs_analyze
def test_exposure_that_systemd_finds_is_low(name: str, limit: int) -> None:
    """The threshold is in tenths: eye at most 1.0, link at most 1.5 (0 is none, 10 is everything)."""
    judged = run(ANALYZE, "security", "--offline=yes", "--no-pager", f"--threshold={limit}", UNITS / name)
    assert judged.returncode == 0, judged.stdout[-300:]
    assert "Overall exposure level" in judged.stdout


@needs_analyze
def test_a_loose_unit_would_fail_the_exposure_test(tmp_path: Path) -> None:
    loose = tmp_path / "loose.service"
    loose.write_text("[Service]\nExecStart=/bin/true\n")
    assert run(ANALYZE, "security", "--offline=yes", "--no-pager", "--threshold=15", loose).returncode != 0


@pytest.mark.parametrize("path", ALL_UNITS, ids=lambda p: p.name)
@needs_analyze
def test_systemd_understands_every_line(path: Path, tmp_path: Path) -> None:
    name = path.name.replace("@.", "@nigiwai-eye.")
    copy = tmp_path / name
    copy.write_text(with_command(path, "/bin/true"))
    for other in ALL_UNITS:
        if other != path:
            (tmp_path / other.name).write_text(with_command(other, "/bin/true"))
    verified = run("env", f"SYSTEMD_UNIT_PATH={tmp_path}:", ANALYZE, "verify", "--man=no", copy)
    complaints = [
        line
        for line in verified.stderr.splitlines()
        if "nigiwai" in line and not any(f"'{key}'" in line for key in MAY_BE_UNKNOWN)
    ]
    assert complaints == []


@pytest.mark.parametrize("path", ALL_UNITS, ids=lambda p: p.name)
def test_every_unit_can_be_read_and_says_what_it_is(path: Path) -> None:
    unit = read_unit(path)
    assert unit["Unit.Description"]


@pytest.mark.parametrize("room", ["eye", "link"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("Restart", "always"),
        ("LimitCORE", "0"),
        ("CoredumpFilter", "0x0"),
        ("MemorySwapMax", "0"),
        ("MemoryDenyWriteExecute", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("SystemCallErrorNumber", "EPERM"),
        ("ProcSubset", "all"),
        ("DevicePolicy", "closed"),
    ],
)
def test_both_rooms_are_locked_alike(room: str, key: str, value: str) -> None:
    assert read_unit(UNITS / f"nigiwai-{room}.service")[f"Service.{key}"] == [value]


def test_eye_has_no_network_no_writable_path_and_no_telemetry() -> None:
    eye = read_unit(UNITS / "nigiwai-eye.service")
    assert eye["Service.PrivateNetwork"] == ["yes"]
    assert words(eye, "RestrictAddressFamilies") == {"AF_UNIX"}
    assert "ORT_DISABLE_TELEMETRY=1" in words(eye, "Environment")
    gives_a_path = (
        "ReadWritePaths",
        "BindPaths",
        "LoadCredential",
        "StateDirectory",
        "RuntimeDirectory",
        "CacheDirectory",
    )
    assert not [key for key in gives_a_path if f"Service.{key}" in eye]
    assert words(eye, "TemporaryFileSystem") == {"/run:ro", "/var:ro"}


def test_link_has_no_device_and_two_folders() -> None:
    link = read_unit(UNITS / "nigiwai-link.service")
    assert link["Service.PrivateDevices"] == ["yes"]
    assert "Service.DeviceAllow" not in link
    assert "Service.SupplementaryGroups" not in link
    assert words(link, "StateDirectory") | words(link, "ReadWritePaths") == {"nigiwai", "/run/nigiwai"}
    assert link["Service.LoadCredential"] == ["nigiwai:/etc/nigiwai/credentials"]


@pytest.mark.parametrize("room", ["eye", "link"])
def test_io_uring_is_refused_because_it_makes_sockets_past_the_filter(room: str) -> None:
    filters = read_unit(UNITS / f"nigiwai-{room}.service")["Service.SystemCallFilter"]
    assert filters[0] == "@system-service"
    assert "io_uring_setup" in filters[1]
    assert filters[1].startswith("~")


@pytest.mark.parametrize("path", ALL_UNITS, ids=lambda p: p.name)
def test_nothing_waits_for_network_or_clock(path: Path) -> None:
    unit = read_unit(path)
    waits = {
        w for key in ("After", "Wants", "Requires", "BindsTo") for w in " ".join(unit.get(f"Unit.{key}", [])).split()
    }
    assert not waits & {"network-online.target", "network.target", "time-sync.target", "time-set.target"}


@pytest.mark.parametrize("room", ["eye", "link"])
def test_a_crash_loop_backs_off_is_told_and_never_ends(room: str) -> None:
    unit = read_unit(UNITS / f"nigiwai-{room}.service")
    assert unit["Unit.OnFailure"] == ["nigiwai-again@%p.service"]
    first, steps, longest = (
        int(unit[f"Service.{key}"][0]) for key in ("RestartSec", "RestartSteps", "RestartMaxDelaySec")
    )
    attempts, window = int(unit["Unit.StartLimitBurst"][0]), int(unit["Unit.StartLimitIntervalSec"][0])
    delays = [first * (longest / first) ** (min(i, steps) / steps) for i in range(attempts)]
    assert sum(delays) < window, "the limit would never be reached, and nobody would be told"


@needs_root
@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_users_and_folders_are_made_as_the_units_need_them(tmp_path: Path) -> None:
    """In a folder that stands for a whole system."""
    for folder in ("etc", "run", "var/lib", "usr/lib"):
        (tmp_path / folder).mkdir(parents=True)
    made = run("systemd-sysusers", f"--root={tmp_path}", UNITS / "sysusers.d" / "nigiwai.conf")
    assert made.returncode == 0, made.stderr
    passwd = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    uids = {fields[0]: int(fields[2]) for fields in passwd}
    gids = {f[0]: int(f[2]) for f in (line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines())}
    members = {f[0]: f[3] for f in (line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines())}
    assert members["nigiwai-door"] == members["video"] == "nigiwai-eye"
    assert all(f[6] == "/usr/sbin/nologin" for f in passwd if f[0].startswith("nigiwai-"))

    made = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", UNITS / "tmpfiles.d" / "nigiwai.conf")
    assert made.returncode == 0, made.stderr
    door, ledger, keys = (os.stat(tmp_path / p) for p in ("run/nigiwai", "var/lib/nigiwai", "etc/nigiwai/credentials"))
    assert (door.st_mode & 0o7777, door.st_uid, door.st_gid) == (0o2750, uids["nigiwai-link"], gids["nigiwai-door"])
    assert (ledger.st_mode & 0o7777, ledger.st_uid) == (0o700, uids["nigiwai-link"])
    assert (keys.st_mode & 0o7777, keys.st_uid) == (0o700, 0)


@needs_root
@pytest.mark.skipif(NFT is None, reason="nft is not installed")
def test_the_firewall_is_a_valid_rule_set(tmp_path: Path) -> None:
    text = (ROOT / "provisioning/host/firewall.nft").read_text(encoding="utf-8")
    text = text.replace("@PAGE_PORTS@", "8080").replace("@BROKER_PORTS@", "1883,8883")
    text = text.replace('"nigiwai-eye"', "990").replace('"nigiwai-link"', "989")
    rules = tmp_path / "firewall.nft"
    rules.write_text(text)
    checked = run("unshare", "-n", NFT, "--check", "--file", rules)
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"@[A-Z]", text)


def test_the_lock_names_every_dependency_with_its_hashes_and_no_address() -> None:
    lock = (ROOT / "provisioning/requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = [e for e in lock.replace("\\\n", " ").splitlines() if e and not e.startswith("#")]
    assert all(" --hash=sha256:" in entry for entry in entries)
    locked = {entry.partition("==")[0] for entry in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {re.split(r"[<>=!~;\[ ]", d)[0] for d in project["dependencies"]} <= locked
