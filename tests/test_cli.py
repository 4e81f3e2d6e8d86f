# SPDX-License-Identifier: Apache-2.0
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from nigiwai import errors
from nigiwai.cli import EXIT_CODES, GROUPS
from tests.conftest import ROOT, Nigiwai

COMMANDS = [name for group in GROUPS.values() for name in group]


def test_help_groups_the_commands_and_loads_none_of_them(nigiwai: Nigiwai) -> None:
    result = nigiwai("--help")
    assert result.returncode == 0
    assert all(heading in result.stdout for heading in GROUPS)
    assert all(name in result.stdout for name in COMMANDS)
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, nigiwai.cli; print('numpy' in sys.modules, 'pydantic' in sys.modules)"],
        capture_output=True,
        text=True,
        cwd=ROOT / "device",
        check=True,
    )
    assert loaded.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name: str) -> None:
    command = importlib.import_module(f"nigiwai.commands.{name}").command
    with click.Context(command) as ctx:
        text = command.get_help(ctx)
    assert "Example" in text
    assert f"nigiwai {name}" in text


def _tree(error: type[errors.NigiwaiError]) -> list[type[errors.NigiwaiError]]:
    return [error, *(e for child in error.__subclasses__() for e in _tree(child))]


def test_every_exit_code_is_documented() -> None:
    words = EXIT_CODES.replace(",", " ").replace("\n", " ").split()
    assert {str(e.exit_code) for e in _tree(errors.NigiwaiError)} <= set(words)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["count", "no.mp4", "--settings", "{gates}"], 4, "no.mp4: no such recording"),
        (["count", "{text}", "--settings", "{gates}"], 4, "not a video"),
        (["count", "{empty}", "--settings", "{gates}"], 4, "is empty"),
        (["count", "{folder}", "--settings", "{gates}"], 4, "irectory"),
        (["count", "no.mp4", "--settings", "{no_gate_file}"], 3, "no such file; give the settings file"),
        (["count", "no.mp4", "--settings", "{bad}"], 3, "gatee: unknown key; did you mean 'gate'?"),
        (["count", "{clip}", "--settings", "{gates}", "--model", "yolox-nanno"], 5, "did you mean 'yolox-nano'?"),
        (["count", "{clip}", "--settings", "{gates}", "--model", "yolox-nano"], 5, "nigiwai models add yolox-nano"),
        (["count", "{clip}", "--settings", "{gates}", "--events", "/nowhere/x.jsonl"], 2, "choose another file"),
        (["count", "{clip}", "--settings", "{empty}"], 3, "gate: none is set"),
        (["count", "{clip}", "--settings", "{gates}", "--fps", "0"], 2, "--fps"),
        (["eye", "--settings", "{bad}"], 3, "unknown key"),
        (["link", "--settings", "{bad}"], 3, "unknown key"),
        (["eye", "--settings", "{lost_camera}"], 4, "/dev/video77"),
        (["eye", "--settings", "{lost_recording}"], 4, "no such recording"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_bad_input_gets_one_clear_message_and_its_exit_code(
    nigiwai: Nigiwai, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    gate = '[[gate]]\nname = "door"\nline = [[0.0, 0.75], [1.0, 0.75]]\ninside = [0.5, 0.4]\n'
    files = {
        "gates": gate,
        "bad": 'gatee = "x"\n',
        "text": "no video at all\n" * 100,
        "empty": "",
        "lost_camera": gate + '[camera]\nsource = "v4l2"\ndevice = "/dev/video77"\n',
        "lost_recording": gate + '[camera]\nsource = "recording"\npath = "gone.mp4"\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    places = {name: tmp_path / name for name in files} | {
        "folder": tmp_path,
        "no_gate_file": tmp_path / "none.toml",
        "clip": ROOT / "models" / "demo" / "entrance.mp4",
    }
    result = nigiwai(*(a.format(**places) for a in arguments))
    assert told in result.stderr
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
