# SPDX-License-Identifier: Apache-2.0
"""The same networks on the processor of a Raspberry Pi, emulated: provisioning/virtual/arm64.sh lays out what it takes.

Emulation says nothing about speed; it says whether the aarch64 wheels compute what those of x86 compute.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.manifest import find_trait_model
from nigiwai.eye.portrait import Window, cut
from nigiwai.paths import models_dir
from tests.conftest import ROOT
from tests.system.machine import MACHINES, needs_proof

ARM64 = Path(os.environ.get("NIGIWAI_ARM64", MACHINES / "arm64"))
EMULATOR = ARM64 / "qemu/usr/bin/qemu-aarch64"
CLIP, GATES = ROOT / "models/demo/entrance.mp4", ROOT / "models/demo/entrance.gates.toml"
TRACKS = ROOT / "models/demo/entrance.tracks.jsonl"
FRAMES = 4
PEOPLE, LEAST_SEEN = 40, 0.8
NOISE = 0.1
"""Mean difference of the raw outputs (mean size 2.5 to 4.6) that one rounding may grow to; 0.043 was seen."""
TRAIT_NOISE = 0.05
"""The same of the trait model's log odds of being a child."""

RUN = """
import sys, numpy as np, onnxruntime as ort
frames = np.load(sys.argv[1])
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
np.savez(sys.argv[3], *[output for frame in frames for output in session.run(None, {name: frame[None]})])
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3_600),
    needs_proof,
    pytest.mark.skipif(not EMULATOR.exists(), reason=f"{EMULATOR} is missing: run provisioning/virtual/arm64.sh"),
]


def emulated(cpu: str, *arguments: object) -> list[str]:
    """The command that runs arm64's Python with these arguments on that processor."""
    variables = {
        "PYTHONPATH": f"{ARM64 / 'site'}:{ROOT / 'device'}",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    passed = [part for name, value in variables.items() for part in ("-E", f"{name}={value}")]
    python = ARM64 / "root/usr/bin/python3.13"
    return [str(EMULATOR), "-cpu", cpu, "-L", str(ARM64 / "root"), *passed, str(python), *map(str, arguments)]


def outputs(command: list[str], made: Path) -> list[np.ndarray]:
    subprocess.run(command, check=True, env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"})
    with np.load(made) as found:
        return [found[name] for name in found.files]


@pytest.mark.parametrize("cpu", ["cortex-a76", "cortex-a53"])
def test_the_network_computes_on_arm_what_it_computes_on_x86(tmp_path: Path, cpu: str) -> None:
    """With INT8 dot products (Pi 5) and without (Pi 3): the same outputs but for a rounding now and then."""
    frames, network = tmp_path / "frames.npy", ROOT / "models/nigiwai-person.int8.onnx"
    np.save(frames, np.random.default_rng(6).integers(0, 256, (FRAMES, 192, 320, 3), np.uint8))

    here = outputs(
        [sys.executable, "-c", RUN, str(frames), str(network), str(tmp_path / "x86.npz")], tmp_path / "x86.npz"
    )
    there = outputs(emulated(cpu, "-c", RUN, frames, network, tmp_path / "arm.npz"), tmp_path / "arm.npz")

    assert [o.shape for o in there] == [o.shape for o in here]
    differences = [float(np.abs(a - b).mean()) for a, b in zip(here, there, strict=True)]
    print("mean differences", [round(d, 4) for d in differences])  # noqa: T201 - a measurement
    assert max(differences) <= NOISE
    assert min(float(o.std()) for o in here) > NOISE, "outputs so flat would agree whatever was computed"


def people(size: tuple[int, int]) -> np.ndarray:
    """Windows (PEOPLE, 3, high, wide) around people of the bundled clip, as eye cuts them."""
    truth = {row["frame"]: row["people"] for row in map(json.loads, TRACKS.read_text().splitlines()[1:])}
    clip, windows = Recording(CLIP), list[np.ndarray]()
    for number in range(max(truth)):
        frame = clip.read(10.0)
        assert frame is not None
        if number % 10 == 0:
            windows += [
                cut(frame.image, Window.around(p["box"]), size) for p in truth[number] if p["visible"] > LEAST_SEEN
            ]
    return np.stack(windows[:PEOPLE]).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("cpu", ["cortex-a76", "cortex-a53"])
def test_people_look_on_arm_as_old_as_they_do_on_x86(tmp_path: Path, cpu: str) -> None:
    """The trait model on people of the clip: as likely children, and whoever is surely one or none stays so."""
    entry, _ = find_trait_model("nigiwai-traits", [models_dir()])
    windows, network = tmp_path / "people.npy", models_dir() / entry.file
    np.save(windows, people((entry.width_px, entry.height_px)))

    here = outputs(
        [sys.executable, "-c", RUN, str(windows), str(network), str(tmp_path / "x86.npz")], tmp_path / "x86.npz"
    )
    there = outputs(emulated(cpu, "-c", RUN, windows, network, tmp_path / "arm.npz"), tmp_path / "arm.npz")

    (x86, arm) = (child_odds(np.concatenate(o[::2]) / entry.outputs.band.temperature) for o in (here, there))
    print("people", len(x86), "differences", np.abs(x86 - arm).mean(), np.abs(x86 - arm).max())  # noqa: T201
    assert len(x86) == PEOPLE
    assert np.abs(x86 - arm).mean() <= TRAIT_NOISE
    assert x86.std() > 10 * TRAIT_NOISE, "people who all look alike would agree whatever was computed"


def child_odds(bands: np.ndarray) -> np.ndarray:
    """Log odds (N,) of being a child, of scaled logits (N, 4)."""
    return np.asarray(bands[:, 0] - np.logaddexp.reduce(bands[:, 1:], axis=1))


def test_the_bundled_clip_counts_on_arm_what_it_counts_on_x86() -> None:
    """Some minutes of emulation. FFmpeg turns YUV into BGR a level brighter on arm64: no count may hang on that."""
    arguments = ["count", str(CLIP), "--settings", str(GATES), "--json"]
    main = "from nigiwai.cli import main; main()"

    here = subprocess.run([sys.executable, "-c", main, *arguments], check=True, capture_output=True, text=True)
    there = subprocess.run(emulated("cortex-a76", "-c", main, *arguments), check=True, capture_output=True, text=True)

    assert json.loads(there.stdout)["counted"] == json.loads(here.stdout)["counted"]
