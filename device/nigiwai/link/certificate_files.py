# SPDX-License-Identifier: Apache-2.0
"""Reads until when this device's certificate and the site's CA are good, and tells what is wrong with them.

A broker that refuses an expired certificate says so to nobody: TLS 1.3 ends the connection after the handshake, and all
that is heard here is that it was lost. So the files are looked at, against the clock that TLS itself goes by.
"""

import logging
import os
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from nigiwai.enrol import keys
from nigiwai.enrol.trouble import REMEDIES
from nigiwai.errors import EnrolmentError
from nigiwai.link.certificates import Flaw, Span, Spans, dated, flaws
from nigiwai.settings import Mqtt

log = logging.getLogger(__name__)


class Certificates:
    """The two files of the settings. They are read again when they change: each connection reads them anew too."""

    def __init__(self, settings: Mqtt) -> None:
        self._files = (settings.cert_file, settings.ca_file) if settings.enabled else (None, None)
        self._seen: tuple[object, ...] = ()
        self._spans = Spans()
        self.flaws: tuple[Flaw, ...] = ()

    def look(self, utc_ns: int) -> tuple[Flaw, ...]:
        """What is wrong with them now; what is new of it is told in the journal with the label's code."""
        seen = tuple(_state(path) for path in self._files)
        if seen != self._seen:
            device, site = self._files
            self._seen, self._spans = seen, Spans(_device(device), _site(site))
        before, self.flaws = self.flaws, flaws(self._spans, datetime.fromtimestamp(utc_ns / 1e9, UTC))
        for flaw in self.flaws:
            if flaw not in before:
                log.error("%s: %s (%s)", flaw.trouble, REMEDIES[flaw.trouble][1], dated(self._spans))
        return self.flaws


def _state(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None


def _device(path: Path | None) -> Span | None:
    if path is None:
        return None
    try:
        found = keys.read_certificate(path)
    except (EnrolmentError, KeyError, ValueError, OSError, subprocess.SubprocessError) as e:
        # Whatever keeps openssl from answering (a sandbox, a slow card) must not keep link from reporting.
        log.warning("%s: how long it is good is not known (%s)", path, e)
        return None
    return Span(found.begins, found.ends)


def _site(path: Path | None) -> Span | None:
    """Of several CAs in one file the one that lasts longest: that is how the next one is brought out."""
    if path is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError):
        return None  # the connection says so, with the file's name
    try:
        spans = [Span(_date(ca["notBefore"]), _date(ca["notAfter"])) for ca in context.get_ca_certs()]
    except (ValueError, OverflowError) as e:
        log.warning("%s: how long it is good is not known (%s)", path, e)
        return None
    return max(spans, key=lambda span: span.ends, default=None)


def _date(text: object) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(text)), UTC)
