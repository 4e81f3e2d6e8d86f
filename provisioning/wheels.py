# SPDX-License-Identifier: Apache-2.0
"""Fetches the libraries of requirements.lock for devices without a network: `wheels.py DIR [PYTHON:MACHINE ...]`.

`pip download` for another Python still reads the lock's conditions with this one's, so they are answered here.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from pip._vendor.packaging.markers import Marker

LOCK = Path(__file__).with_name("requirements.lock")
TARGETS = ("3.11:aarch64", "3.13:aarch64", "3.11:x86_64", "3.13:x86_64")
GLIBCS = (28, 27, 26, 24, 17)
"""Of manylinux_2_N; Debian 12 has glibc 2.36."""


def requirements(lock: str, python: str, machine: str) -> list[str]:
    """The lock's requirements, each with its hashes in one line, that hold for that Python on that machine."""
    facts = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    chosen = []
    for line in lock.replace("\\\n", " ").splitlines():
        named, *hashes = line.split(" --hash=")
        name, _, condition = named.partition(" ; ")
        if hashes and (not condition or Marker(condition.strip()).evaluate(facts)):
            chosen.append(" --hash=".join([name.strip(), *(h.strip() for h in hashes)]))
    return chosen


def fetch(folder: Path, target: str) -> None:
    """Downloads every library for one target into `folder`."""
    python, machine = target.split(":")
    platforms = [f"manylinux_2_{n}_{machine}" for n in GLIBCS] + [f"manylinux2014_{machine}", "any"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as chosen:
        chosen.write("\n".join(requirements(LOCK.read_text(encoding="utf-8"), python, machine)) + "\n")
        chosen.flush()
        subprocess.run(  # noqa: S603 - our own arguments
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", chosen.name),
                *("--python-version", python, "--implementation", "cp"),
                *(f"--abi=cp{python.replace('.', '')}", "--abi=abi3", "--abi=none"),
                *(f"--platform={p}" for p in platforms),
                *("--dest", str(folder)),
            ],
            check=True,
        )


if __name__ == "__main__":
    destination = Path(sys.argv[1])
    destination.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[2:] or TARGETS:
        fetch(destination, wanted)
