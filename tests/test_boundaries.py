# SPDX-License-Identifier: Apache-2.0
"""The walls of the house: who imports what, and which sockets a running process really has."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nigiwai.lab.demo import Part
from tests.conftest import ROOT, house_settings

PACKAGE = ROOT / "device" / "nigiwai"
SEEING = {"cv2", "onnxruntime", "numpy", "picamera2", "libcamera", "PIL"}
SPEAKING = {"paho", "starlette", "uvicorn", "anyio", "h11", "sqlite3", "http", "ssl", "asyncio"}


def modules_loaded_by(module: str) -> set[str]:
    """Every module in memory after importing `module` in a fresh interpreter."""
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "device")},
    )
    return set(json.loads(run.stdout))


def roots(modules: set[str]) -> set[str]:
    return {m.partition(".")[0] for m in modules}


def all_in(room: str) -> list[str]:
    return [
        ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for p in sorted((PACKAGE / room).rglob("*.py"))
    ]


def test_nothing_of_link_loads_what_can_see() -> None:
    loaded = modules_loaded_by(", ".join(all_in("link")))
    assert not roots(loaded) & SEEING
    assert not {m for m in loaded if m.startswith(("nigiwai.eye", "nigiwai.lab"))}


def test_nothing_of_eyes_service_loads_what_can_speak() -> None:
    # numpy imports urllib's parser and little else of the list, so what eye's own libraries load by themselves is
    # taken off; what is left is what eye added.
    libraries = modules_loaded_by("numpy, cv2, onnxruntime, pydantic")
    loaded = modules_loaded_by("nigiwai.eye.service")
    assert not (roots(loaded) - roots(libraries)) & SPEAKING
    assert not roots(loaded) & {"paho", "starlette", "uvicorn", "sqlite3"}
    assert not {m for m in loaded if m.startswith(("nigiwai.link", "nigiwai.lab"))}


def test_the_door_knows_neither_room() -> None:
    loaded = modules_loaded_by(", ".join(all_in("door")))
    assert not {m for m in loaded if m.startswith(("nigiwai.link", "nigiwai.lab", "nigiwai.eye"))}
    assert not roots(loaded) & (SEEING | {"paho", "starlette", "sqlite3"})


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        (
            "eye",
            (
                "nigiwai.link",
                "nigiwai.lab",
                "paho",
                "starlette",
                "uvicorn",
                "sqlite3",
                "http",
                "urllib.request",
                "asyncio",
            ),
        ),
        ("link", ("nigiwai.eye", "nigiwai.lab", "cv2", "numpy", "onnxruntime", "picamera2")),
        ("door", ("nigiwai.eye", "nigiwai.link", "nigiwai.lab")),
    ],
)
def test_no_line_of_a_room_imports_what_it_may_not_even_lazily(room: str, forbidden: tuple[str, ...]) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert files
    broken = [
        (f.name, name)
        for f in files
        for name in imports(f)
        if any(name == x or name.startswith(x + ".") for x in forbidden)
    ]
    assert broken == []


def socket_families(pid: int) -> set[str]:
    """The families of every socket that the process has open, by the kernel's own tables."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    families = set()
    for family in ("unix", "tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink"):
        table = Path(f"/proc/{pid}/net/{family}")
        if table.exists():
            words = set(table.read_text().split())
            families |= {family} if inodes & words else set()
    return families


@pytest.fixture
def running_link(tmp_path: Path) -> Iterator[Part]:
    settings = house_settings(tmp_path, camera='source = "recording"\npath = "{clip}"\nloop = true')
    part = Part("link", settings)
    yield part
    part.close()


def test_a_running_eye_has_a_unix_socket_and_no_other(tmp_path: Path, running_link: Part) -> None:
    eye = Part("eye", tmp_path / "nigiwai.toml")
    try:
        seen: set[str] = set()
        for _ in range(600):
            assert eye.process.poll() is None, eye.why_it_ended()
            assert running_link.process.poll() is None, running_link.why_it_ended()
            now = socket_families(eye.process.pid)
            assert now <= {"unix"}
            seen |= now
            if "unix" in seen and "tcp" in socket_families(running_link.process.pid):
                break
            with_patience(eye)
        assert seen == {"unix"}, "eye never came to the door"
    finally:
        eye.close()


def with_patience(part: Part) -> None:
    try:
        part.process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def test_a_running_link_maps_no_image_or_model_library(running_link: Part) -> None:
    pid = running_link.process.pid
    for _ in range(300):
        if "tcp" in socket_families(pid):
            break
        with_patience(running_link)
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "sqlite3" in maps, "link is not up yet"
    assert not [word for word in ("cv2", "onnxruntime", "libav", "numpy") if word in maps]


STRACE = shutil.which("strace")


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_eye_asks_the_kernel_for_no_inet_socket_and_writes_no_file(tmp_path: Path) -> None:
    """The whole life of eye, from start to the end of a recording, without CI in the environment.

    ONNX Runtime's telemetry would look up a host and keep a device id under the home directory.
    """
    settings = house_settings(tmp_path, camera='source = "recording"\npath = "{clip}"\npace = "fast"')
    home = tmp_path / "home"
    home.mkdir()
    trace = tmp_path / "trace"
    environment = {k: v for k, v in os.environ.items() if k not in {"CI", "ORT_DISABLE_TELEMETRY", "NOTIFY_SOCKET"}}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT / "device"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [STRACE or "", "-f", "-qq", "-e", "trace=socket,openat,open,creat,mkdir,rename,unlink", "-o", str(trace),
         sys.executable, "-m", "nigiwai", "eye", "--settings", str(settings)],
        env=environment, check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    calls = trace.read_text(errors="replace").splitlines()
    sockets = [c for c in calls if " socket(" in c]
    written = [
        c for c in calls if ("O_WRONLY" in c or "O_RDWR" in c or "O_CREAT" in c or " creat(" in c) and "= -1" not in c
    ]
    assert sockets, "strace saw nothing"
    assert [c for c in sockets if "AF_UNIX" not in c] == []
    assert [c for c in written if "/dev/" not in c and "/proc/" not in c and "/sys/" not in c] == []
    assert list(home.rglob("*")) == []
