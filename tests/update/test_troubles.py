# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an update is told three times: in the journal, on the page, and as a code of the label."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nigiwai.commands import update
from nigiwai.enrol.trouble import Trouble, tell, told
from nigiwai.errors import UpdateError
from nigiwai.update import health, trial
from nigiwai.update.health import Facts
from nigiwai.update.releases import Releases
from tests.update.test_releases import ALL_WELL, change, new_key, release, signers_of, with_releases

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "key")


@pytest.fixture
def device(tmp_path: Path) -> Releases:
    """A device that runs number 5, has proved it, and on which number 7 failed."""
    releases = Releases(with_releases(tmp_path / "base", 5))
    releases.begin("r5", ())
    (releases.base / "standing.json").write_text('{"proved": 5, "refused": [7]}')
    return releases


def take(device: Releases, folder: Path, signers: Path) -> tuple[Result, tuple[Trouble, ...]]:
    """How `nigiwai update FOLDER` ended, and what the page then says."""
    note = device.base.parent / "told.json"
    options = ("--base", device.base, "--told", note, "--signers", signers, "--settings", device.base / "none.toml")
    return CliRunner().invoke(update.command, [str(x) for x in (folder, *options)]), told((note,))


@pytest.mark.parametrize(
    ("serial", "spoiled", "trouble"),
    [
        (6, "manifest.json", Trouble.SIGNATURE),
        (6, "wheel", Trouble.SIGNATURE),
        (4, None, Trouble.OLDER),
        (7, None, Trouble.UNPROVEN),
    ],
)
def test_an_update_that_is_refused_is_told_with_its_code(
    device: Releases,
    tmp_path: Path,
    key: Path,
    caplog: pytest.LogCaptureFixture,
    serial: int,
    spoiled: str | None,
    trouble: Trouble,
) -> None:
    folder = release(tmp_path / "offered", serial, key)
    if spoiled:
        change(folder, spoiled)
    done, shown = take(device, folder, signers_of(key))
    assert isinstance(done.exception, UpdateError)
    assert (done.exception.trouble, shown, device.current()) == (trouble, (trouble,), "r5")
    assert next(r.getMessage() for r in caplog.records if r.levelname == "ERROR").startswith(f"{trouble}: ")


@pytest.mark.parametrize("signed", [True, False])
def test_an_update_signed_by_a_stranger_or_nobody_is_told_with_its_code(
    device: Releases, tmp_path: Path, key: Path, signed: bool
) -> None:
    folder = release(tmp_path / "offered", 6, new_key(tmp_path / "stranger"))
    if not signed:
        (folder / "manifest.json.sig").unlink()
    done, shown = take(device, folder, signers_of(key))
    assert (done.exit_code, shown) == (1, (Trouble.SIGNATURE,))


def test_the_next_good_update_ends_the_trouble_but_not_that_one_failed(
    device: Releases, tmp_path: Path, key: Path
) -> None:
    note = device.base.parent / "told.json"
    same = release(tmp_path / "same", 5, key)
    for before, after in ((Trouble.SIGNATURE, ()), (Trouble.UNPROVEN, (Trouble.UNPROVEN,))):
        tell(note, before, "...")
        done, shown = take(device, same, signers_of(key))
        assert (done.exit_code, done.output, shown) == (0, "nothing new\n", after)


@pytest.mark.parametrize(("works", "shown"), [(True, ()), (False, (Trouble.UNPROVEN,))])
def test_the_judge_tells_the_page(
    device: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool, shown: tuple[Trouble, ...]
) -> None:
    with_releases(device.base, 6)
    device.begin("r6", trial.needs_of(ALL_WELL))
    facts = ALL_WELL if works else Facts(frozenset())
    monkeypatch.setattr(health, "look", lambda *_: facts)
    monkeypatch.setattr(trial, "restart", lambda: None)
    note = tmp_path / "told.json"
    tell(note, Trouble.OLDER, "...")
    assert trial.judge_here(tmp_path / "none.toml", device, trial.Patience(0.01, 0.0), note) is works
    assert told((note,)) == shown


@pytest.mark.parametrize("text", ["", "{", "[]", '{"trouble": "E99"}', '{"trouble": ""}', '{"other": 1}'])
def test_a_note_that_is_damaged_or_empty_tells_of_no_trouble(tmp_path: Path, text: str) -> None:
    (tmp_path / "told.json").write_text(text)
    assert told((tmp_path / "told.json", tmp_path / "missing.json")) == ()
