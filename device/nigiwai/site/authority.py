# SPDX-License-Identifier: Apache-2.0
"""A site's certificate authority: its own certificate, those of brokers and devices, the revocation list.

Keys are on NIST P-256, which Mosquitto, OpenSSL and every MQTT client of the last ten years understand; Ed25519 is not
there yet in all of them. Nothing here reads a clock or a file: the time is an argument.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nigiwai.errors import EnrolmentError

CA_YEARS = 10
DEVICE_DAYS = 398
"""A device asks for a new certificate once two thirds of this are over; a year of events and a month to spare."""

SERVER_DAYS = 1_825
BACKDATED = timedelta(days=1)
"""A device whose clock is some hours slow must not find its own certificate to be from the future."""

_CURVE = ec.SECP256R1()


@dataclass(frozen=True)
class Authority:
    """The site's CA certificate and the key that signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh key."""
    return ec.generate_private_key(_CURVE)


def make_authority(site: str, now: datetime, years: int = CA_YEARS) -> Authority:
    """A new CA for a site; it signs certificates for this site's names and nothing else."""
    key = new_key()
    name = _named(f"Nigiwai {site}")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _begun(name, name, key.public_key(), now, timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def sign_server(
    authority: Authority, hosts: Iterable[str], key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    """A certificate for the broker and the enrolment desk under these names and addresses."""
    listed = list(hosts)
    alternatives = x509.SubjectAlternativeName([_general_name(h) for h in listed])
    builder = _begun(_named(listed[0]), authority.certificate.subject, key, now, timedelta(days=SERVER_DAYS))
    builder = builder.add_extension(alternatives, critical=False)
    return _finished(builder, authority, ExtendedKeyUsageOID.SERVER_AUTH)


def sign_client(
    authority: Authority, name: str, key: ec.EllipticCurvePublicKey, now: datetime, host: str | None = None
) -> x509.Certificate:
    """A certificate by which SITE/DEVICE, or a consumer, is known to the broker; with `host` also for its own page."""
    builder = _begun(_named(name), authority.certificate.subject, key, now, timedelta(days=DEVICE_DAYS))
    if host is None:
        return _finished(builder, authority, ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return _finished(builder, authority, ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


def read_request(pem: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """The key of a signing request made by `name`. Raises EnrolmentError for anything else."""
    try:
        request = x509.load_pem_x509_csr(pem)
        signed = request.is_signature_valid
        named = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        key = request.public_key()
    except (ValueError, InvalidSignature):
        raise EnrolmentError("the signing request cannot be read; make it again on the device: nigiwai enrol") from None
    if not signed:
        raise EnrolmentError("the signing request is not signed by its own key; make it again on the device")
    if named != [name]:
        raise EnrolmentError(f"the signing request is for {named[0] if named else 'nobody'!r}, not for {name!r}")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EnrolmentError("the signing request's key is not on P-256; make it on the device: nigiwai enrol")
    return key


def revocations(authority: Authority, serials: Iterable[tuple[int, datetime]], now: datetime) -> bytes:
    """The revocation list (PEM). It is valid as long as the CA: a list that ran out would lock every device out."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(authority.certificate.not_valid_after_utc)
    )
    for serial, since in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate as people compare it: groups of four hexadecimal digits, the first 32 of 64."""
    digits = certificate.fingerprint(hashes.SHA256()).hex()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, 32, 4))


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _finished(
    builder: x509.CertificateBuilder, authority: Authority, *purposes: x509.ObjectIdentifier
) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
