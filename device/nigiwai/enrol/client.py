# SPDX-License-Identifier: Apache-2.0
"""Asks the enrolment desk for a certificate: HTTPS that trusts the site's own CA and nobody else."""

import hashlib
import hmac
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import EnrolmentError

_PATIENCE_S = 30.0
_NOT_YET_VALID = 9
"""X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL's verify(1)."""


@dataclass(frozen=True)
class Desk:
    """Where the desk is, and how it and we are known: the CA, and for renewals our certificate and key."""

    url: str
    ca: Path
    certificate: Path | None = None
    key: Path | None = None


def proof(code: str, request: bytes) -> str:
    """Shows that we know the code; the code itself is not sent. nigiwai.site.giving checks it."""
    secret = hashlib.sha256(code.upper().replace("-", "").replace(" ", "").encode()).digest()
    return hmac.new(secret, request, hashlib.sha256).hexdigest()


def enrol(desk: Desk, device: str, request: bytes, code: str) -> bytes:
    """The certificate (PEM) for a new device. Raises EnrolmentError."""
    return _ask(desk, "/enrol", {"device": device, "request": request.decode(), "proof": proof(code, request)})


def renew(desk: Desk, device: str, request: bytes) -> bytes:
    """The certificate (PEM) that follows the present one. Raises EnrolmentError."""
    return _ask(desk, "/renew", {"device": device, "request": request.decode()})


def _ask(desk: Desk, path: str, what: dict[str, str]) -> bytes:
    asked = urllib.request.Request(  # noqa: S310  https only, see DeviceFile
        desk.url + path, json.dumps(what).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    handler = urllib.request.HTTPSHandler(context=_context(desk))
    # No proxy of the environment: the desk is headquarters' own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
    try:
        with opener.open(asked, timeout=_PATIENCE_S) as answer:
            return _certificate(answer.read(65_536))
    except urllib.error.HTTPError as e:
        raise _refused(e) from None
    except (urllib.error.URLError, OSError) as e:
        raise _away(desk, e) from None


def _context(desk: Desk) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(desk.ca))
        if desk.certificate is not None:
            context.load_cert_chain(desk.certificate, desk.key)
    except (OSError, ssl.SSLError) as e:
        raise EnrolmentError(f"{desk.ca}: cannot be used ({e})", Trouble.CERTIFICATE) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _certificate(body: bytes) -> bytes:
    try:
        pem = json.loads(body)["certificate"]
        return str(pem).encode("ascii")
    except (ValueError, KeyError, TypeError):
        raise EnrolmentError("the desk's answer holds no certificate", Trouble.DESK_STRANGE) from None


def _refused(error: urllib.error.HTTPError) -> EnrolmentError:
    with error:
        try:
            told = str(json.loads(error.read(4_096))["error"])
        except (ValueError, KeyError, TypeError, OSError):
            told = f"HTTP {error.code}"
    trouble = Trouble.CODE_WRONG if "wrong" in told else Trouble.CODE_OVER
    if "revoked" in told:
        trouble = Trouble.REVOKED
    return EnrolmentError(f"the desk refuses: {told}", trouble)


def _away(desk: Desk, error: Exception) -> EnrolmentError:
    cause: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code == _NOT_YET_VALID:
            return EnrolmentError(
                f"{desk.url}: its certificate begins later than this device's clock says; connect a time server or set"
                " the clock (timedatectl), then it goes on by itself",
                Trouble.CLOCK,
            )
        return EnrolmentError(f"{desk.url}: not headquarters ({cause.verify_message})", Trouble.DESK_STRANGE)
    return EnrolmentError(f"{desk.url}: cannot be reached ({cause}); it is tried again by itself", Trouble.DESK_AWAY)
