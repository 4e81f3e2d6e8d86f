# SPDX-License-Identifier: Apache-2.0
"""The board's light blinks on request and shows what it showed before."""

from pathlib import Path

import pytest

from nigiwai.link.identify import MARK, ask, blink


@pytest.fixture
def leds(tmp_path: Path) -> Path:
    light = tmp_path / "leds" / "ACT"
    light.mkdir(parents=True)
    (light / "trigger").write_text("none kbd-numlock [mmc0] timer heartbeat\n")
    (light / "brightness").write_text("0\n")
    return tmp_path / "leds"


def test_the_light_blinks_and_goes_back_to_what_it_showed(leds: Path) -> None:
    seen: list[tuple[str, str]] = []
    light = leds / "ACT"

    blink(leds, 3, lambda _: seen.append(((light / "trigger").read_text(), (light / "brightness").read_text())))

    assert seen == [("none", "255"), ("none", "0")] * 3
    assert (light / "trigger").read_text() == "mmc0"


def test_a_mark_is_left_where_there_is_a_light(leds: Path, tmp_path: Path) -> None:
    assert ask(tmp_path, leds)
    assert (tmp_path / MARK).exists()


def test_without_a_light_or_a_folder_it_says_so(leds: Path, tmp_path: Path) -> None:
    assert not ask(tmp_path, tmp_path / "none")
    assert not ask(tmp_path / "none", leds)
    assert not (tmp_path / MARK).exists()


def test_a_light_that_goes_away_is_no_error(leds: Path) -> None:
    (leds / "ACT" / "brightness").unlink()
    (leds / "ACT" / "brightness").mkdir()

    blink(leds, 1, lambda _: None)

    assert (leds / "ACT" / "trigger").read_text() == "mmc0"
