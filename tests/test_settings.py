# SPDX-License-Identifier: Apache-2.0
import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai import mistakes, settings
from nigiwai.errors import SettingsError

DOOR = {"name": "door", "line": [[0.0, 0.75], [1.0, 0.75]], "inside": [0.5, 0.4]}


def refused(table: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as e:
        settings.parse(table, where="nigiwai.toml")
    return str(e.value)


def test_every_key_has_a_default_and_a_description() -> None:
    assert settings.parse({}) == settings.Settings()
    for section in settings.Settings.model_fields.values():
        model = mistakes.inner_section(section.annotation)
        assert model is not None
        assert all(f.description for f in model.model_fields.values()), model


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"gate": [DOOR | {"line": [[0, 0.5], [1.2, 0.5]]}]}, ["gate.0.line.1.0 = 1.2", "less than or equal to 1"]),
        ({"gate": [DOOR | {"inside": [0.5, 0.75]}]}, ["gate.0", "inside = [0.5, 0.75] lies on the line", "choose"]),
        ({"gate": [DOOR | {"line": [[0.2, 0.5], [0.6, 0.5]], "inside": [0.9, 0.5]}]}, ["straight beyond its end"]),
        ({"gate": [DOOR | {"line": [[0.5, 0.5], [0.5, 0.5]]}]}, ["gate.0", "shorter than"]),
        ({"gate": [DOOR | {"line": [[0.5, 0.5]]}]}, ["gate.0.line", "at least 2"]),
        ({"gate": [DOOR | {"line": [[i / 20, 0.5] for i in range(17)]}]}, ["gate.0.line", "at most 16"]),
        ({"gate": [DOOR, DOOR]}, ["gate", "two gates are named 'door'", "its own name"]),
        ({"gate": [DOOR | {"name": f"d{i}"} for i in range(9)]}, ["gate", "at most 8"]),
        ({"gate": [DOOR | {"name": "Tür 1"}]}, ["gate.0.name = 'Tür 1'", "a-z, 0-9"]),
        ({"gate": [{"name": "door"}]}, ["gate.0.line: is missing", "gate.0.inside: is missing", "inner side"]),
        ({"gatee": []}, ["gatee: unknown key; did you mean 'gate'?"]),
        ({"mqtt": {"hosst": "x"}}, ["mqtt.hosst: unknown key; did you mean 'host'?"]),
        ({"mqtt": {"zzz": 1}}, ["mqtt.zzz: unknown key; known here:", "keepalive_s"]),
        ({"mqtt": {"port": 70000}}, ["mqtt.port = 70000", "65535"]),
        ({"mqtt": {"cert_file": "a"}}, ["mqtt", "cert_file and key_file go together"]),
        ({"camera": {"source": "webcam"}}, ["camera.source = 'webcam'", "'pi', 'v4l2'"]),
        ({"camera": {"source": "recording"}}, ["camera", "path is needed"]),
        ({"camera": {"fps": "many"}}, ["camera.fps = 'many'"]),
        ({"ledger": {"interval_s": 61}}, ["ledger.interval_s = 61", "60"]),
    ],
)
def test_a_mistake_is_told_with_key_value_and_remedy(table: dict[str, Any], told: list[str]) -> None:
    message = refused(table)
    for words in told:
        assert words in message
    assert message.startswith("nigiwai.toml: ")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_whatever_is_written_gets_an_answer_in_words(data: st.DataObject) -> None:
    sections = settings.Settings.model_fields
    name = data.draw(st.sampled_from(sorted(sections)))
    section = mistakes.inner_section(sections[name].annotation)
    assert section is not None
    row = data.draw(st.dictionaries(st.sampled_from(sorted(section.model_fields)), VALUES, min_size=1, max_size=3))
    table = {name: data.draw(st.sampled_from([row, [row], [row, row]]))}
    with contextlib.suppress(SettingsError):
        settings.parse(table)


def test_all_mistakes_are_told_together() -> None:
    message = refused({"mqtt": {"port": 0, "keepalive": 3}, "gate": [DOOR | {"inside": [2, 0]}]})
    assert len(message.splitlines()) == 3


def test_a_mistake_hides_no_other_and_brings_none_along() -> None:
    message = refused({"gate": [DOOR | {"line": [[0.0, 1.75], [1.0, 0.75]]}, DOOR]})
    assert "two gates are named 'door'" in message
    assert "gate.0.line.0.1 = 1.75" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [("[camera\n", "not valid TOML"), ("a = 1\xff", "nigiwai.toml")],
)
def test_a_file_that_is_no_toml(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "nigiwai.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=told):
        settings.load(path)


def test_a_missing_file_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no such file.*--settings"):
        settings.load(tmp_path / "none.toml")


def test_a_recording_is_looked_for_beside_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "nigiwai.toml"
    path.write_text('[camera]\nsource = "recording"\npath = "clip.mp4"\n')
    assert settings.load(path).camera.path == tmp_path / "clip.mp4"


def test_the_digest_is_of_the_meaning_not_of_the_layout() -> None:
    a = settings.parse({"gate": [DOOR]})
    b = settings.parse({"mqtt": {}, "gate": [dict(reversed(DOOR.items()))]})
    assert a.sha256 == b.sha256
    assert a.sha256 != settings.parse({}).sha256


def test_a_password_prints_as_stars(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    secret = settings.read_secret(tmp_path / "password")
    assert "geheim" not in f"{secret} {secret!r}"
    assert secret.get_secret_value() == "geheim"
