# SPDX-License-Identifier: Apache-2.0
"""The documents say what the code does."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nigiwai import settings
from nigiwai.cli import GROUPS
from nigiwai.lab.settings_page import settings_page
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md")])


def test_the_settings_page_is_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page(), "run `make docs`"


def test_make_docs_has_nothing_to_write() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "write_docs.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_settings_shown_in_pages_are_valid(page: Path) -> None:
    for example in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if "[[model]]" not in example:
            settings.parse(tomllib.loads(example), where=page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_shown_in_pages_exist(page: Path) -> None:
    known = {name for group in GROUPS.values() for name in group}
    text = page.read_text(encoding="utf-8")
    shown = set(re.findall(r"^(?:\$ )?(?:\.venv/bin/)?nigiwai ([a-z]+)", text, re.MULTILINE))
    assert shown <= known
