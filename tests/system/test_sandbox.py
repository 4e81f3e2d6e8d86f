# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel keeps the promise: everything that a program inside eye or link must not do is tried there.

Each attempt is first made without the sandbox and must succeed; then in a process that is started with the very unit of
eye or link, everything as it is but the command. What is tried: attacks.py.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import Machine, booted, copy_of, wait_for, why_not
from tests.system.unit_files import UNITS, with_command

HERE = Path(__file__).parent
SYSTEM = "trixie"
PORT = 18_999
TOOLS = "/usr/lib/nigiwai-test"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not(SYSTEM) is not None, reason=str(why_not(SYSTEM)))]

EYE_MUST_NOT = {
    "connect over IPv4",
    "connect over IPv6",
    "send a datagram",
    "open a raw socket",
    "open a netlink socket",
    "resolve a name",
    "talk to D-Bus",
    "talk to an abstract socket",
    "use io_uring",
    "ptrace",
    "read /proc/PID/mem",
    "read memory by call",
    "take a descriptor",
    "signal",
    "see the process",
    "read the ledger",
    "read the keys",
    "read the keys link was given",
    "read the journal",
    "read a home",
    "open another device",
    "make a device",
    "load a module",
    "load a module file",
    "load a BPF program",
    "watch the processor",
    "set the clock",
    "mount",
    "make a user namespace",
    "make a mount namespace",
    "become root",
    "change the root",
    "map writable code",
    "write a program and run it",
}
LINK_MAY = {
    "connect over IPv4",
    "connect over IPv6",
    "send a datagram",
    "resolve a name",
    "talk to an abstract socket",
    "read the ledger",
}
LINK_MUST_NOT = EYE_MUST_NOT - LINK_MAY - {"read the keys link was given"} | {"open the camera"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a ledger, keys, a neighbour to talk to and a camera's device file, but no camera behind it."""
    folder = tmp_path_factory.mktemp("sandbox")
    with copy_of(SYSTEM, folder) as root:
        for name in ("attacks.py", "neighbour.py"):
            target = root / TOOLS.lstrip("/") / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((HERE / name).read_bytes())
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
        # Kept from the container's root, they would make the control fail: systemd-nspawn withholds them unless told.
        more = "--capability=CAP_SYS_MODULE,CAP_NET_ADMIN,CAP_SYS_PTRACE,CAP_NET_RAW,CAP_SYS_TIME,CAP_BPF,CAP_PERFMON"
        calls = (
            "--system-call-filter=io_uring_setup init_module finit_module pidfd_getfd bpf perf_event_open @clock @mount"
        )
        with booted(root, folder / "log", more, calls) as running:
            furnish(running)
            yield running


def furnish(machine: Machine) -> None:
    """The ledger, the keys, the neighbour and the camera's device file."""
    script = """
    set -e
    install -m 600 -o nigiwai-link -g nigiwai-link /dev/null /var/lib/nigiwai/ledger.db
    echo secret > /etc/nigiwai/credentials/device.key
    chmod 600 /etc/nigiwai/credentials/device.key
    mkdir -p /run/log/journal
    systemd-run --quiet --service-type=notify --unit=neighbour /usr/bin/python3 {tools}/neighbour.py {port}
    """
    machine.run("sh", "-c", script.format(tools=TOOLS, port=PORT))
    machine.run("ip", "link", "set", "lo", "up")
    make_camera(machine)
    for room in ("eye", "link"):
        start_victim(machine, room)


def make_camera(machine: Machine) -> None:
    """A device file with the number of a camera, made from outside: root in a container may not."""
    enter = ["nsenter", "-t", str(machine.leader), "-m", "--"]
    subprocess.run([*enter, "mknod", "--mode=660", "/dev/video0", "c", "81", "0"], check=True)
    machine.run("chown", "root:video", "/dev/video0")
    # /dev/net/tun under a name that no rule knows, open to everybody: only the unit's device policy is in the way.
    subprocess.run([*enter, "mknod", "--mode=666", "/dev/nigiwai-other", "c", "10", "200"], check=True)


def start_victim(machine: Machine, room: str) -> None:
    """A process that sleeps under eye's or link's unit, for the other one to attack."""
    text = with_command(UNITS / f"nigiwai-{room}.service", "/usr/bin/sleep infinity", kind="exec")
    install_unit(machine, f"victim-{room}.service", text)
    machine.run("systemctl", "start", f"victim-{room}")


def install_unit(machine: Machine, name: str, text: str) -> None:
    machine.write(f"/etc/systemd/system/{name}", text)
    machine.run("systemctl", "daemon-reload")


def about(machine: Machine, victim: str, folder: str) -> str:
    """What attacks.py is told."""
    return json.dumps(
        {
            "pid": machine.main_pid(victim),
            "port": PORT,
            "name": "broker.example.test",
            "given_key": "/run/credentials/victim-link.service/nigiwai_device.key",
            "folder": folder,
        },
        separators=(",", ":"),
    )


def attack_without(machine: Machine, victim: str) -> dict[str, Any]:
    """The attempts as root, outside every sandbox."""
    done = machine.run("python3", f"{TOOLS}/attacks.py", about(machine, victim, "/var/lib"), timeout_s=200)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def attack_within(machine: Machine, room: str, victim: str, folder: str) -> dict[str, Any]:
    """The attempts in a process under the room's own unit."""
    name = f"attack-{room}-on-{victim}.service"
    machine.write(f"{TOOLS}/about.json", about(machine, victim, folder))
    # systemd would take the braces of JSON for its own; the shell hands them on untouched.
    command = f"/bin/sh -c 'exec /usr/bin/python3 {TOOLS}/attacks.py \"$$(cat {TOOLS}/about.json)\"'"
    install_unit(machine, name, with_command(UNITS / f"nigiwai-{room}.service", command, kind="oneshot"))
    machine.run("systemctl", "start", name, timeout_s=200)
    lines = wait_for("the result is in the journal", lambda: results_in(machine.journal(name)))
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def results_in(journal: str) -> list[str]:
    return [line for line in journal.splitlines() if line.startswith('{"attempts"')]


@pytest.fixture(scope="module")
def control(machine: Machine) -> dict[str, Any]:
    return attack_without(machine, "victim-link")


@pytest.fixture(scope="module")
def eye(machine: Machine, control: dict[str, Any]) -> dict[str, Any]:
    return attack_within(machine, "eye", "victim-link", "/dev/shm")


@pytest.fixture(scope="module")
def link(machine: Machine, control: dict[str, Any]) -> dict[str, Any]:
    return attack_within(machine, "link", "victim-eye", "/var/lib/nigiwai")


@pytest.mark.parametrize("name", sorted(EYE_MUST_NOT | LINK_MUST_NOT))
def test_without_the_sandbox_it_succeeds(control: dict[str, Any], name: str) -> None:
    assert not control["attempts"][name].startswith("refused"), control["attempts"][name]


@pytest.mark.parametrize("name", sorted(EYE_MUST_NOT))
def test_eye_is_refused(eye: dict[str, Any], name: str) -> None:
    assert eye["attempts"][name].startswith("refused"), eye["attempts"][name]


@pytest.mark.parametrize("name", sorted(LINK_MUST_NOT))
def test_link_is_refused(link: dict[str, Any], name: str) -> None:
    assert link["attempts"][name].startswith("refused"), link["attempts"][name]


@pytest.mark.parametrize("name", sorted(LINK_MAY))
def test_link_can_do_its_work(link: dict[str, Any], name: str) -> None:
    """A sandbox that forbids everything would pass every other test."""
    assert link["attempts"][name] == "done"


@pytest.mark.skipif("video4linux" not in Path("/proc/devices").read_text(), reason="this kernel has no cameras")
def test_eye_may_open_the_camera(eye: dict[str, Any]) -> None:
    """There is no camera behind the device file here (ENXIO); what counts is that nobody forbids it."""
    assert not eye["attempts"]["open the camera"].startswith("refused"), eye["attempts"]["open the camera"]


def test_eye_can_write_to_no_place_at_all(control: dict[str, Any], eye: dict[str, Any]) -> None:
    assert len(control["places"]["writable"]) > 100
    assert eye["places"]["writable"] == []


def test_link_can_write_to_its_two_folders_only(link: dict[str, Any]) -> None:
    folders = {"/var/lib/nigiwai", "/run/nigiwai"}
    assert {p for p in link["places"]["writable"] if p not in folders and str(Path(p).parent) not in folders} == set()
    assert folders <= set(link["places"]["writable"])


@pytest.mark.parametrize("room", ["eye", "link"])
def test_no_setting_of_the_kernel_can_be_changed(room: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(room)["places"]["kernel_settings"] == []


@pytest.mark.parametrize("room", ["eye", "link"])
def test_the_kernel_says_that_the_locks_are_on(room: str, request: pytest.FixtureRequest) -> None:
    facts = request.getfixturevalue(room)["facts"]
    assert facts["uid"] != 0
    assert (facts["capabilities"], facts["no_new_privileges"], facts["seccomp"]) == (0, 1, 2)
    assert (facts["core_limit"], facts["core_filter"]) == ([0, 0], 0)


def test_eye_sees_no_interface_and_has_telemetry_off(eye: dict[str, Any]) -> None:
    assert eye["facts"]["interfaces"] in (None, ["lo"])
    assert eye["facts"]["environment"]["ORT_DISABLE_TELEMETRY"] == "1"
    assert eye["facts"]["cpuinfo"] > 0, "ONNX Runtime would not know the processor"


def test_link_may_ask_whether_the_clock_is_set(control: dict[str, Any], link: dict[str, Any]) -> None:
    assert control["facts"]["adjtimex"] >= 0
    assert link["facts"]["adjtimex"] >= 0


def test_eyes_user_alone_without_the_unit_reaches_neither_keys_nor_network(machine: Machine) -> None:
    """Permissions and the firewall are a second lock, should somebody run eye without its unit."""
    attack = (f"{TOOLS}/attacks.py", about(machine, "victim-link", "/tmp"))
    as_user = ("setpriv", "--reuid=nigiwai-eye", "--regid=nigiwai-eye", "--init-groups", "--")
    done = machine.run(*as_user, "python3", *attack, timeout_s=200)
    attempts = json.loads(done.stdout.splitlines()[-1])["attempts"]
    outside = ("read the ledger", "read the keys", "read the keys link was given", "ptrace", "read /proc/PID/mem")
    for name in (*outside, "connect over IPv4", "connect over IPv6", "send a datagram"):
        assert attempts[name].startswith("refused"), (name, attempts[name])


def test_the_doors_socket_can_be_reached_by_eye_and_by_nobody_else(machine: Machine) -> None:
    listed = machine.run("stat", "-c", "%A %U %G", "/run/nigiwai").stdout.split()
    assert listed == ["drwxr-s---", "nigiwai-link", "nigiwai-door"]
    assert machine.run("getent", "group", "nigiwai-door").stdout.strip().endswith(":nigiwai-eye")
