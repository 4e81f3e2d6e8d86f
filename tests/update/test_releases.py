# SPDX-License-Identifier: Apache-2.0
"""Releases on a device: what is refused, what is proved, and that a kill at any point leaves a whole release in use."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nigiwai.errors import UpdateError
from nigiwai.update import bundle, install, source, trial
from nigiwai.update.health import BROKER, COUNTING, LINK, Facts
from nigiwai.update.manifest import MANIFEST, Manifest, Rollout, Standing, check_serial, is_open_for, read_manifest
from nigiwai.update.releases import MAX_BOOTS, Releases
from nigiwai.update.source import Config
from tests.conftest import PROOF, ROOT

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")

ALL_WELL = Facts(frozenset({LINK, COUNTING, BROKER}))
STRACE = shutil.which("strace")

INSTALL = """#!/bin/sh
# What install.sh does with a release, in small: build it beside the others, then put it into use.
set -e
base=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
mkdir -p "$base/releases/r$NIGIWAI_SERIAL/systemd"
touch "$base/releases/r$NIGIWAI_SERIAL/systemd/nigiwai-trial.service"
echo "{\\"serial\\": $NIGIWAI_SERIAL}" >"$base/releases/r$NIGIWAI_SERIAL/release.json"
touch "$base/releases/r$NIGIWAI_SERIAL/.complete"
exec "$PYTHON" -m nigiwai.update.begin "r$NIGIWAI_SERIAL" "$base"
"""


@pytest.fixture(autouse=True)
def script_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "device"))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("key") / "release")


@pytest.fixture(scope="module")
def signers(key: Path) -> Path:
    return signers_of(key)


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def signers_of(key: Path) -> Path:
    file = key.with_name("release-signers")
    public = key.with_name(key.name + ".pub").read_text().split()
    file.write_text(f'release namespaces="nigiwai-release" {public[0]} {public[1]}\n')
    return file


def release(folder: Path, serial: int, key: Path) -> Path:
    """A signed release whose install script does what the real one does, in small."""
    (folder / "provisioning").mkdir(parents=True)
    (folder / "provisioning/install.sh").write_text(INSTALL)
    (folder / "wheel").write_text(f"the program, number {serial}\n")
    bundle.make(folder, f"0.{serial}", serial, key)
    return folder


@pytest.fixture
def device(tmp_path: Path) -> Releases:
    """A device that runs and has proved release number 5."""
    releases = Releases(with_releases(tmp_path / "base", 5))
    releases.begin("r5", ())
    (releases.base / "standing.json").write_text('{"proved": 5, "refused": []}')
    return releases


def with_releases(base: Path, *serials: int) -> Path:
    """A folder of whole releases, none in use."""
    for serial in serials:
        folder = base / "releases" / f"r{serial}"
        (folder / "systemd").mkdir(parents=True)
        (folder / "systemd/nigiwai-trial.service").touch()
        (folder / "release.json").write_text(json.dumps({"serial": serial}))
        (folder / ".complete").touch()
    return base


def test_a_signed_release_is_installed_beside_the_other_and_on_trial(
    device: Releases, tmp_path: Path, key: Path, signers: Path
) -> None:
    taken = install.take(release(tmp_path / "six", 6, key), device, ALL_WELL, signers=signers)
    assert taken is not None
    assert (taken.serial, device.current(), device.others()) == (6, "r6", ["r5"])
    on_trial = device.trial()
    assert on_trial is not None
    assert (on_trial.before, on_trial.after) == ("r5", "r6")
    assert os.readlink(device.base / "judge") == "releases/r5", "the one that is known to work judges"
    assert not (device.base / "incoming").exists()


def change(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: change(f, "wheel"), "wheel: differs from what was signed"),
        (lambda f: change(f, MANIFEST), "wrong signature"),
        (lambda f: change(f, "provisioning/install.sh"), "install.sh: differs"),
        (lambda f: (f / "manifest.json.sig").unlink(), "is not signed"),
        (lambda f: (f / MANIFEST).unlink(), "no signed release"),
        (lambda f: (f / "wheel").unlink(), "cannot be copied"),
    ],
    ids=["a file", "the manifest", "the script", "no signature", "no manifest", "not whole"],
)
def test_what_is_not_as_it_was_signed_is_refused_and_nothing_changes(
    device: Releases, tmp_path: Path, key: Path, signers: Path, spoil: object, told: str
) -> None:
    folder = release(tmp_path / "six", 6, key)
    assert callable(spoil)
    spoil(folder)
    before = tree_of(device.base)
    with pytest.raises(UpdateError, match=told):
        install.take(folder, device, ALL_WELL, signers=signers)
    assert tree_of(device.base) == before


def tree_of(base: Path) -> dict[str, str]:
    return {str(p.relative_to(base)): os.readlink(p) if p.is_symlink() else "" for p in base.rglob("*")}


def test_a_strangers_signature_is_refused(device: Releases, tmp_path: Path, signers: Path) -> None:
    (tmp_path / "stranger").mkdir()
    folder = release(tmp_path / "six", 6, new_key(tmp_path / "stranger/key"))
    with pytest.raises(UpdateError, match="wrong signature"):
        install.take(folder, device, ALL_WELL, signers=signers)


def test_a_signature_for_another_purpose_is_refused(device: Releases, tmp_path: Path, key: Path, signers: Path) -> None:
    """The same key signs something else, for example a commit."""
    folder = release(tmp_path / "six", 6, key)
    (folder / "manifest.json.sig").unlink()
    subprocess.run(["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", "git", folder / MANIFEST], check=True)
    with pytest.raises(UpdateError, match="wrong signature"):
        install.take(folder, device, ALL_WELL, signers=signers)


def test_without_known_signers_no_release_is_taken(device: Releases, tmp_path: Path, key: Path) -> None:
    with pytest.raises(UpdateError, match="no release can be trusted"):
        install.take(release(tmp_path / "six", 6, key), device, ALL_WELL, signers=tmp_path / "none")


def test_files_that_were_not_signed_are_not_even_copied(
    device: Releases, tmp_path: Path, key: Path, signers: Path
) -> None:
    folder = release(tmp_path / "six", 6, key)
    (folder / "provisioning/sitecustomize.py").write_text("raise SystemExit('taken over')\n")
    assert install.take(folder, device, ALL_WELL, signers=signers) is not None
    with pytest.raises(UpdateError, match="not part of the signed release"):
        bundle.check(folder, signers)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a//b", "./a", "a\n"])
def test_a_manifest_cannot_reach_outside_its_folder(path: str) -> None:
    with pytest.raises(UpdateError, match="no path inside"):
        read_manifest(Manifest("1", 1, {path: "0" * 64}).to_json())


def test_a_downgrade_is_refused_in_clear_words(device: Releases, tmp_path: Path, key: Path, signers: Path) -> None:
    with pytest.raises(UpdateError, match=r"older than number 5.*nigiwai update --back"):
        install.take(release(tmp_path / "four", 4, key), device, ALL_WELL, signers=signers)


def test_the_same_release_again_changes_nothing(device: Releases, tmp_path: Path, key: Path, signers: Path) -> None:
    assert install.take(release(tmp_path / "again", 5, key), device, ALL_WELL, signers=signers) is None


def test_nothing_is_installed_during_an_event_unless_told_to(
    device: Releases, tmp_path: Path, key: Path, signers: Path
) -> None:
    folder = release(tmp_path / "six", 6, key)
    event = Facts(ALL_WELL.works, event=True)
    with pytest.raises(UpdateError, match="wait until it ends"):
        install.take(folder, device, event, signers=signers)
    assert install.take(folder, device, event, during_event=True, signers=signers) is not None


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def on_trial(device: Releases) -> Releases:
    """Number 6 is on trial; link, counting and the broker worked before it."""
    with_releases(device.base, 6)
    device.begin("r6", trial.needs_of(ALL_WELL))
    return device


def test_a_release_that_works_stays(on_trial: Releases) -> None:
    clock = Clock()
    assert trial.judge(on_trial, lambda _: ALL_WELL, clock.wait, clock) is True
    assert (on_trial.current(), on_trial.trial(), on_trial.standing().proved) == ("r6", None, 6)
    assert trial.STEADY_S <= clock.now_s < 60


@pytest.mark.parametrize("lost", [LINK, COUNTING, BROKER])
def test_a_release_that_loses_what_worked_is_taken_back(on_trial: Releases, lost: str) -> None:
    clock = Clock()
    assert trial.judge(on_trial, lambda _: Facts(ALL_WELL.works - {lost}), clock.wait, clock) is False
    assert (on_trial.current(), on_trial.trial()) == ("r5", None)
    assert trial.PROOF_S <= clock.now_s < trial.PROOF_S + 10
    with pytest.raises(UpdateError, match="did not prove itself"):
        check_serial(Manifest("0.6", 6, {}), on_trial.standing())
    on_trial.forgive()
    check_serial(Manifest("0.6", 6, {}), on_trial.standing())


def test_a_release_that_works_now_and_then_is_taken_back(on_trial: Releases) -> None:
    """Well for twenty seconds, ill for four: never half a minute on end."""
    clock = Clock()
    facts = lambda _: ALL_WELL if clock.now_s % 24 < 20 else Facts(frozenset())  # noqa: E731
    assert trial.judge(on_trial, facts, clock.wait, clock) is False


def test_what_did_not_work_before_is_not_asked_of_the_new_one(device: Releases) -> None:
    """No camera yet, or no network: no reason to go back."""
    assert trial.needs_of(Facts(frozenset())) == (LINK,)
    assert trial.needs_of(Facts(frozenset({COUNTING}))) == (COUNTING, LINK)


def test_a_release_that_makes_the_board_restart_is_given_three_starts(on_trial: Releases) -> None:
    class PowerCutError(Exception):
        pass

    def cut(_: str) -> Facts:
        raise PowerCutError

    for _ in range(MAX_BOOTS):
        with pytest.raises(PowerCutError):
            trial.judge(on_trial, cut)
    assert trial.judge(on_trial, cut) is False
    assert on_trial.current() == "r5"


def test_without_a_trial_the_judge_does_nothing(device: Releases) -> None:
    assert trial.judge(device, lambda _: Facts(frozenset())) is None
    assert device.current() == "r5"


KILLS = {
    "begin": "Releases(base).begin('r6', ('link',))",
    "prove": "trial.judge(Releases(base), lambda _: Facts(frozenset({'link'})), clock.wait, clock)",
    "go back": "trial.judge(Releases(base), lambda _: Facts(frozenset()), clock.wait, clock)",
}
CALLS = ("rename", "unlink", "symlink", *(("openat", "write", "fsync") if PROOF else ()))
"""Between two of the first three nothing that anybody could see changes; `make proof` kills at the others as well."""

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {device!r})
from nigiwai.update import trial
from nigiwai.update.health import Facts
from nigiwai.update.releases import Releases
class Clock:
    now = 0.0
    def __call__(self): return self.now
    def wait(self, s): self.now += s
base, clock = Path(sys.argv[1]), Clock()
{step}
"""


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("step", KILLS)
@pytest.mark.timeout(1_800)
def test_a_kill_at_any_call_leaves_a_whole_release_in_use_and_the_judge_finishes(tmp_path: Path, step: str) -> None:
    """The process is killed at its first, second, third ... change of the folder, until it runs to its end."""
    program = tmp_path / "step.py"
    program.write_text(PROGRAM.format(device=str(ROOT / "device"), step=KILLS[step]))
    killed = 0
    for call in CALLS:
        for at in range(1, 200):
            base = fresh_base(tmp_path / f"{call}-{at}", on_trial=step != "begin")
            if not killed_at(program, base, call, at):
                break
            killed += 1
            assert_whole(base)
            shutil.rmtree(base)
    assert killed >= {"begin": 6, "prove": 3, "go back": 5}[step]


def fresh_base(base: Path, *, on_trial: bool) -> Path:
    with_releases(base, 5, 6)
    Releases(base).begin("r5", ())
    if on_trial:
        Releases(base).begin("r6", (LINK,))
    return base


def killed_at(program: Path, base: Path, call: str, at: int) -> bool:
    """Runs the step and kills it at the given call on the base folder. False: it came to its end before."""
    watched = [str(base), *(str(base / n) for n in ("current", "trial.json", "judge", "standing.json"))]
    watched += [str(base / f".{n}.new") for n in ("current", "trial.json", "judge", "standing.json")]
    paths = [part for path in watched for part in ("-P", path)]
    done = subprocess.run(
        [
            *(str(STRACE), "-f", "-qq", "-o", "/dev/null", *paths, "-e", f"trace={call}"),
            *("-e", f"inject={call}:signal=KILL:when={at}", sys.executable, "-S", str(program), str(base)),
        ],
        env={**os.environ, "PYTHONPATH": site_packages()},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def site_packages() -> str:
    import pydantic

    return str(Path(pydantic.__file__).parents[1])


def assert_whole(base: Path) -> None:
    """After the cut: a whole release is in use; the next start's judge comes to an end, and one is still in use."""
    releases = Releases(base)
    assert releases.current() in {"r5", "r6"}
    assert releases.is_whole(str(releases.current()))
    clock = Clock()
    trial.judge(releases, lambda _: Facts(frozenset({LINK})), clock.wait, clock)
    assert releases.trial() is None
    assert releases.is_whole(str(releases.current()))


def test_releases_reach_a_group_after_the_other(tmp_path: Path, device: Releases, key: Path, signers: Path) -> None:
    folder = release(tmp_path / "six", 6, key)
    config = Config(source=str(folder), group="north")
    bundle.stage(folder, ("pilot",), key)
    assert source.fetch_next(config, device, signers) is None
    bundle.stage(folder, ("pilot", "north"), key)
    fetched = source.fetch_next(config, device, signers)
    assert fetched is not None
    assert install.take(fetched, device, ALL_WELL, signers=signers) is not None


@pytest.mark.parametrize(
    ("rollout", "opened"),
    [
        (Rollout("", 6, ("pilot",)), True),
        (Rollout("", 6, ("all",)), True),
        (Rollout("", 6, ("north",)), False),
        (Rollout("", 6, ()), False),
        (Rollout("", 5, ("all",)), False),
        (Rollout("", 7, ("all",)), False),
    ],
    ids=["its group", "all", "another group", "nobody", "not newer", "failed here"],
)
def test_whom_a_rollout_reaches(rollout: Rollout, opened: bool) -> None:
    assert is_open_for(rollout, Standing(5, 5, (7,), "pilot")) is opened


def test_a_rollout_that_was_changed_is_refused(tmp_path: Path, device: Releases, key: Path, signers: Path) -> None:
    folder = release(tmp_path / "six", 6, key)
    bundle.stage(folder, ("pilot",), key)
    text = (folder / "rollout.json").read_text().replace("pilot", "north")
    (folder / "rollout.json").write_text(text)
    with pytest.raises(UpdateError, match="wrong signature"):
        source.fetch_next(Config(source=str(folder), group="north"), device, signers)


def test_an_interrupted_download_goes_on_and_damage_on_the_way_is_found(
    tmp_path: Path, device: Releases, key: Path, signers: Path
) -> None:
    folder = release(tmp_path / "six", 6, key)
    bundle.stage(folder, ("all",), key)
    config = Config(source=str(folder))
    good = (folder / "wheel").read_bytes()
    (folder / "wheel").write_bytes(good[:-3])
    with pytest.raises(UpdateError, match="what came differs"):
        source.fetch_next(config, device, signers)
    (folder / "wheel").write_bytes(good)
    fetched = source.fetch_next(config, device, signers)
    assert fetched is not None
    kept = (fetched / "provisioning/install.sh").stat().st_ino
    fetched = source.fetch_next(config, device, signers)
    assert fetched is not None
    assert (fetched / "provisioning/install.sh").stat().st_ino == kept, "what is here is not fetched again"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('source = "http://x"', "source"),
        ('sauce = "/x"', "known here: source, group, ca_file"),
        ("source = ", "cannot be used"),
    ],
)
def test_a_mistake_in_update_toml_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "update.toml").write_text(text)
    with pytest.raises(UpdateError, match=told):
        source.read_config(tmp_path / "update.toml")
