# SPDX-License-Identifier: Apache-2.0
"""What many tests share: where things are, and how a command is run as its user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest

from nigiwai.lab.broker import free_port

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
PROOF = bool(os.environ.get("NIGIWAI_PROOF"))
"""Whether this is `make proof`: full numbers instead of a few seeds."""

# Machines are noisy: no test may fail for being slow. Every run tries the same examples; `make proof` tries more.
hypothesis.settings.register_profile(
    "nigiwai",
    deadline=None,
    derandomize=not PROOF,
    max_examples=1_000 if PROOF else 100,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("nigiwai")

Nigiwai = Callable[..., "subprocess.CompletedProcess[str]"]

ONE_AT_A_TIME = ROOT / "tests" / "system"
"""These share machines of one name and one network."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tells what may not run beside each other where several tests run at once: a file's tests, and the machines'.

    The machines come first, since they take longest in one row.
    """
    items.sort(key=lambda item: ONE_AT_A_TIME not in item.path.parents)
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        group = ONE_AT_A_TIME if ONE_AT_A_TIME in item.path.parents else item.path
        item.add_marker(pytest.mark.xdist_group(str(group.relative_to(ROOT))))


def run_nigiwai(*arguments: object, timeout_s: float = 120, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The finished command with what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "nigiwai", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "PYTHONPATH": str(ROOT / "device"), **environment},
        check=False,
    )


@pytest.fixture
def nigiwai() -> Nigiwai:
    """Runs a command of Nigiwai to its end."""
    return run_nigiwai


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real recordings; the test is skipped where it is missing."""
    folder = SHARED / "data" / "footage"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: no real recordings here")
    return folder


def house_settings(
    folder: Path, *, camera: str, broker_port: int | None = None, page_port: int | None = None, extra: str = ""
) -> Path:
    """A settings file in `folder` for eye and link on the bundled clip; `{clip}` in `camera` stands for its path."""
    demo = ROOT / "models" / "demo"
    mqtt = f'host = "127.0.0.1"\nport = {broker_port}' if broker_port else "enabled = false"
    page = f"port = {page_port}" if page_port else f"port = {free_port()}"
    path = folder / "nigiwai.toml"
    path.write_text(
        f"""
[camera]
{camera.format(clip=demo / "entrance.mp4")}
[door]
socket = "{folder}/door.sock"
[ledger]
path = "{folder}/ledger.db"
interval_s = 5
timezone = "{_zone_where_it_is_about_noon()}"
[page]
{page}
[mqtt]
{mqtt}
{extra}
{(demo / "entrance.gates.toml").read_text(encoding="utf-8")}
""",
        encoding="utf-8",
    )
    return path


def _zone_where_it_is_about_noon() -> str:
    """So that no test meets a midnight, at which the day's sums begin again."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
