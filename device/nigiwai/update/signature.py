# SPDX-License-Identifier: Apache-2.0
"""Signatures by OpenSSH's ssh-keygen (its SSHSIG format); docs/decisions says why.

Who may sign stands in /etc/nigiwai/release-signers, in OpenSSH's "allowed signers" format (ssh-keygen(1)): several
keys, with a time limit each if wanted, so that one can be replaced by the next.
"""

import subprocess
from pathlib import Path

from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import UpdateError

NAMESPACE = "nigiwai-release"
SIGNER = "release"
SIGNERS = Path("/etc/nigiwai/release-signers")


def sign(file: Path, key: Path) -> Path:
    """Signs a file and returns the signature's path beside it. Raises UpdateError."""
    signature = file.with_name(file.name + ".sig")
    signature.unlink(missing_ok=True)
    done = _ssh_keygen(["-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(file)], b"")
    if done.returncode != 0:
        raise UpdateError(f"{key}: cannot sign ({_last_line(done.stderr)})")
    return signature


def verify(data: bytes, signature: Path, signers: Path = SIGNERS) -> None:
    """Raises UpdateError unless one of the signers has signed these very bytes."""
    if not signers.is_file():
        raise UpdateError(
            f"{signers}: missing, so no release can be trusted; put the line with the releases' public key there"
        )
    if not signature.is_file():
        raise UpdateError(f"{signature.name}: missing; this release is not signed and is not taken", Trouble.SIGNATURE)
    arguments = ["-Y", "verify", "-f", str(signers), "-I", SIGNER, "-n", NAMESPACE, "-s", str(signature)]
    done = _ssh_keygen(arguments, data)
    if done.returncode != 0:
        raise UpdateError(
            f"{signature.name}: wrong signature ({_last_line(done.stderr or done.stdout)}); the release was changed on"
            f" its way, or signed by somebody who is not in {signers}. It is not taken",
            Trouble.SIGNATURE,
        )


def _ssh_keygen(arguments: list[str], data: bytes) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],  # noqa: S607  Debian's own, wherever it lies
            input=data,
            capture_output=True,
            check=False,
            timeout=60,
        )
    except FileNotFoundError:
        raise UpdateError("ssh-keygen is missing: sudo apt install openssh-client") from None


def _last_line(said: bytes) -> str:
    return (said.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
