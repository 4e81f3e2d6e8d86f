# SPDX-License-Identifier: Apache-2.0
"""`nigiwai logs`: what the services said, to be read aloud or mailed: what could be a secret is blacked out.

Our own lines hold no secret in the first place; those of libraries and of systemd are not ours to promise for.
"""

import re
import subprocess
from collections.abc import Iterator

BLACK = "█████"

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", re.DOTALL), BLACK),
    (re.compile(r"(?i)\b((?:pass(?:word|phrase|wd)?|psk|pin|secret|token|code|key)\b\s*[:=]\s*)\S+"), rf"\1{BLACK}"),
    (re.compile(r"(?i)\b(authorization:\s*\w+\s+)\S+"), rf"\1{BLACK}"),
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), f"://{BLACK}@"),
    (re.compile(r"\b[2-9A-HJ-NP-Z]{4}(?:-[2-9A-HJ-NP-Z]{4}){3}\b"), BLACK),
    (re.compile(r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b"), BLACK),
    # A long run of base64 may be a key; digests are hexadecimal and shorter than this.
    (re.compile(r"\b(?=[A-Za-z0-9+/]*[G-Zg-z])[A-Za-z0-9+/]{40,}={0,2}"), BLACK),
)


def redact(line: str) -> str:
    """The line without what may be a secret."""
    for pattern, instead in _SECRETS:
        line = pattern.sub(instead, line)
    return line


def read(lines: int, since: str | None, *, follow: bool) -> Iterator[str]:
    """The services' lines from the journal, redacted. Ends at the journal's end unless it is followed."""
    command = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", "--unit=nigiwai*"]
    command += [f"--since={since}"] if since else []
    command += ["--follow"] if follow else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as journal:
        try:
            for line in journal.stdout or ():
                yield redact(line.rstrip("\n"))
        finally:
            journal.terminate()
