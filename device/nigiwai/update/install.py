# SPDX-License-Identifier: Apache-2.0
"""Takes a release: copies it where nobody else can change it, checks it there, and runs its own install script."""

import os
import shutil
import subprocess
from pathlib import Path

from nigiwai.errors import UpdateError
from nigiwai.update import bundle
from nigiwai.update.health import Facts
from nigiwai.update.manifest import MANIFEST, SIGNATURE, Manifest, check_serial
from nigiwai.update.releases import Releases
from nigiwai.update.signature import SIGNERS

INCOMING = "incoming"


def take(
    source: Path, releases: Releases, facts: Facts, *, during_event: bool = False, signers: Path = SIGNERS
) -> Manifest | None:
    """Installs the signed release in `source`, on trial. None: it runs already. Raises UpdateError.

    The cheap refusals come before the copy: an event, a signature, a downgrade.
    """
    if facts.event and not during_event:
        raise UpdateError("an event is under way; updates wait until it ends (--during-event does it all the same)")
    if releases.trial() is not None:
        raise UpdateError("the release in use is still on trial (at most five minutes); try again after that")
    offered = bundle.check_manifest(source, signers)
    check_serial(offered, releases.standing())
    if offered.serial == releases.standing().serial:
        return None
    incoming = _copy(source, releases.base / INCOMING, offered)
    try:
        checked = bundle.check(incoming, signers)
        check_serial(checked, releases.standing())
        _run_script(incoming, checked)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return checked


def _copy(source: Path, incoming: Path, offered: Manifest) -> Path:
    """Copies the signed files and nothing else, root's own from the first byte on."""
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        incoming.mkdir(mode=0o700)
        for path in [*offered.files, MANIFEST, MANIFEST + SIGNATURE]:
            target = incoming / path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copyfile(source / path, target)
            target.chmod(0o755 if path.endswith(".sh") else 0o644)
    except OSError as e:
        shutil.rmtree(incoming, ignore_errors=True)
        what = e.filename or incoming
        raise UpdateError(
            f"{what}: cannot be copied ({e.strerror}); the release is not whole or the card is full"
        ) from None
    return incoming


def _run_script(folder: Path, release: Manifest) -> None:
    """install.sh of the release, which builds it beside the others and switches to it on trial. Raises UpdateError."""
    done = subprocess.run(
        [str(folder / "provisioning/install.sh")],
        env={**os.environ, "NIGIWAI_SERIAL": str(release.serial)},
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise UpdateError(f"release {release.version} could not be installed (see above); what ran before runs on")
