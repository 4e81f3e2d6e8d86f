# SPDX-License-Identifier: Apache-2.0
"""What headquarters decides: which request is signed, which code is good, what is withdrawn."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nigiwai.errors import EnrolmentError
from nigiwai.site import authority
from nigiwai.site.folder import Code, Given, Register, SiteFolder, note, write

CODE_DAYS = 14
_CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0, O, 1 or I: the code is read aloud on the telephone."""


def new_code() -> str:
    """A one-time code of 80 random bits, in four groups of four."""
    letters = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(16))
    return "-".join(letters[i : i + 4] for i in range(0, 16, 4))


def new_pin() -> str:
    """A PIN of eight digits for the label."""
    return f"{secrets.randbelow(10**8):08d}"


def digest(code: str) -> str:
    """What is kept of a code, however it was typed."""
    return hashlib.sha256(code.upper().replace("-", "").replace(" ", "").encode()).hexdigest()


def proof(code: str, request: bytes) -> str:
    """Shows that whoever sends this request knows the code, without telling the code."""
    return hmac.new(bytes.fromhex(digest(code)), request, hashlib.sha256).hexdigest()


def issue_code(register: Register, device: str, now: datetime, days: int = CODE_DAYS) -> tuple[str, datetime]:
    """A new code for a device; the ones before end with it."""
    for old in register.codes:
        if old.device == device and old.used is None:
            old.used = now.isoformat()
    code, expires = new_code(), now + timedelta(days=days)
    register.codes.append(Code(device, digest(code), expires.isoformat()))
    return code, expires


def redeem(register: Register, device: str, request: bytes, shown: str, now: datetime) -> None:
    """Uses the device's code up. Raises EnrolmentError where the proof is wrong or the code is used or over."""
    open_codes = [c for c in register.codes if c.device == device and c.used is None]
    if not open_codes:
        raise EnrolmentError(f"{device}: no code is open; make one with `nigiwai site add {device} --again`")
    code = open_codes[-1]
    wanted = hmac.new(bytes.fromhex(code.code_sha256), request, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, shown):
        raise EnrolmentError(f"{device}: the one-time code is wrong")
    if now > datetime.fromisoformat(code.expires):
        raise EnrolmentError(f"{device}: the one-time code ended on {code.expires[:10]}")
    code.used = now.isoformat()


def host_of(device: str) -> str:
    """The name under which phones find the device's page."""
    return f"nigiwai-{device}.local"


def sign(folder: SiteFolder, register: Register, device: str, request: bytes, now: datetime) -> x509.Certificate:
    """Signs a device's request and enters it in the register. Raises EnrolmentError."""
    name = f"{folder.site().name}/{device}"
    key = authority.read_request(request, name)
    certificate = authority.sign_client(folder.authority(), name, key, now, host_of(device))
    note(register, device, certificate)
    write(folder.device(device) / "device.crt", certificate.public_bytes(Encoding.PEM), 0o644)
    return certificate


def revoke(register: Register, device: str, now: datetime) -> list[Given]:
    """Withdraws every valid certificate and every open code of a device. Raises EnrolmentError where there is none."""
    withdrawn = register.valid_of(device, now)
    codes = [c for c in register.codes if c.device == device and c.used is None]
    if not withdrawn and not codes:
        known = sorted({g.device for g in register.certificates} | {c.device for c in register.codes})
        raise EnrolmentError(f"{device}: nothing to revoke; known here: {', '.join(known) or 'no device'}")
    for given in withdrawn:
        given.revoked = now.isoformat()
    for code in codes:
        code.used = now.isoformat()
    return withdrawn


def revoked_serial(register: Register, serial: int) -> bool:
    """Whether a certificate of that number was withdrawn, or never given out."""
    found = [g for g in register.certificates if int(g.serial, 16) == serial]
    return not found or any(g.revoked is not None for g in found)
