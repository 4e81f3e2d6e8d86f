# SPDX-License-Identifier: Apache-2.0
"""Makes the environment of the comparison, apart from the product's, and runs it there."""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / ".bench"


def ready(folder: Path = FOLDER) -> Path:
    """The environment's Python, with what requirements.txt names; made where it is missing or asked otherwise."""
    wanted = HERE / "requirements.txt"
    python, stamp = folder / "bin" / "python", folder / "made-from"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not python.exists() or not stamp.exists() or stamp.read_text() != digest:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        stamp.write_text(digest)
    return python


def compare(*arguments: str) -> dict[str, Any]:
    """What compare.py measured."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [ready(), "-m", "tests.bench.compare", *arguments],
        cwd=ROOT,
        env={**os.environ, **one, "PYTHONPATH": f"{ROOT / 'device'}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compare(*sys.argv[1:]), indent=1) + "\n")
