# SPDX-License-Identifier: Apache-2.0
"""What `nigiwai check` says of ages: told by which model, or why they are not."""

from pathlib import Path

import pytest

from nigiwai.lab.check import Verdict, check

VIEW = "[view]\nheight_m = 2.8\nfov_deg = 75.0\ntilt_deg = "


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "nobody's age or company is estimated: [view] is not set"),
        (VIEW + "70.0", "nobody's age is estimated: view.tilt_deg = 70; heights can be measured up to 62"),
        (VIEW + "30.0", "nigiwai-traits, hash"),
        ("[traits]\nenabled = false", None),
    ],
)
def test_it_is_said_whether_ages_are_estimated(tmp_path: Path, settings: str, said: str | None) -> None:
    path = tmp_path / "nigiwai.toml"
    path.write_text(settings, encoding="utf-8")
    _, found = check(path, only=("model",))
    assert (found.thing, found.verdict) == ("model", Verdict.OK)
    assert (said in found.text) if said else ("age" not in found.text)
