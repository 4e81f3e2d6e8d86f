# SPDX-License-Identifier: Apache-2.0
"""What the commands of `nigiwai site` do: values in, files in the site's folder out, and a sentence about it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nigiwai.errors import EnrolmentError
from nigiwai.site import authority, boot_files, giving
from nigiwai.site.boot_files import Card, Host
from nigiwai.site.folder import Register, Site, SiteFolder, note, utc_now, write, write_key
from nigiwai.site.label import Label, label_pdf

HEADQUARTERS = "headquarters"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")


@dataclass(frozen=True)
class Wishes:
    """What the clerk chose for a new device."""

    camera: str = "pi"
    group: str = "all"
    wifi_name: str | None = None
    wifi_password: str | None = None
    ssh_key: str | None = None
    release_key: str | None = None
    releases: str | None = None


def check_name(name: str, what: str) -> None:
    """Raises EnrolmentError where a site's or device's name cannot be one."""
    if not _NAME.fullmatch(name):
        raise EnrolmentError(f"{what} {name!r}: a-z, 0-9, - and _, at most 32 characters, the first a letter or digit")


def init(root: Path, site: Site, years: int) -> str:
    """Makes a site: CA, the broker's certificate and configuration, the consumers' certificate."""
    check_name(site.name, "site")
    for host in site.hosts:
        if not _HOST.fullmatch(host):
            raise EnrolmentError(f"broker {host!r}: a host name or an address, nothing else")
    folder, now = SiteFolder(root), utc_now()
    made = authority.make_authority(site.name, now, years)
    folder.create(site, made)
    key = authority.new_key()
    write_key(folder.broker / "server.key", key)
    certificate = authority.sign_server(made, site.hosts, key.public_key(), now)
    write(folder.broker / "server.crt", certificate.public_bytes(Encoding.PEM), 0o644)
    write(folder.broker / "ca.crt", made.certificate.public_bytes(Encoding.PEM), 0o644)
    _broker_configuration(folder, site)
    with folder.register() as register:
        folder.write_revocations(made, register, now)
        _headquarters(folder, register, now)
    return authority.fingerprint(made.certificate)


def _broker_configuration(folder: SiteFolder, site: Site) -> None:
    """mosquitto.conf and access.conf of provisioning/broker, with the revocation list switched on."""
    source = _broker_files()
    conf = (source / "mosquitto.conf").read_text(encoding="utf-8")
    conf = conf.replace("# crlfile ", "crlfile ").replace("listener 8883", f"listener {site.port}")
    write(folder.broker / "nigiwai.conf", conf.encode(), 0o644)
    write(folder.broker / "nigiwai-access.conf", (source / "access.conf").read_bytes(), 0o644)


def _broker_files() -> Path:
    """provisioning/broker of the checkout, or the copy in the wheel."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / "provisioning" / "broker"
    return checkout if checkout.is_dir() else package / "data" / "broker"


def _headquarters(folder: SiteFolder, register: Register, now: datetime) -> None:
    key = authority.new_key()
    certificate = authority.sign_client(folder.authority(), HEADQUARTERS, key.public_key(), now)
    note(register, HEADQUARTERS, certificate)
    write_key(folder.root / HEADQUARTERS / "client.key", key)
    write(folder.root / HEADQUARTERS / "client.crt", certificate.public_bytes(Encoding.PEM), 0o644)


def add(folder: SiteFolder, device: str, wishes: Wishes, *, again: bool) -> list[Path]:
    """Makes a device's enrolment: code, PIN, label, files for the card. Returns the files. Raises EnrolmentError."""
    check_name(device, "device")
    for value in (wishes.wifi_name, wishes.wifi_password, wishes.ssh_key, wishes.release_key):
        if value is not None and not value.isprintable():
            raise EnrolmentError("Wi-Fi name, password and keys are one line each, without control characters")
    site, place = folder.site(), folder.device(device)
    if place.exists() and not again:
        raise EnrolmentError(f"{device}: is already in {folder.root}; --again makes a new code and label for it")
    with folder.register() as register:
        code, expires = giving.issue_code(register, device, utc_now())
        pin = _pin(place)
        desk = f"https://{_bracketed(site.hosts[0])}:{site.desk_port}"
        ca = folder.ca_file.read_text(encoding="ascii")
        card = Card(
            *(site.name, device, site.hosts[0], site.port, desk, code, expires),
            *(
                pin,
                _access_point_password(place),
                ca,
                wishes.group,
                wishes.camera,
                _public(wishes.release_key),
                wishes.releases,
            ),
        )
        written = _write_card(place, card, wishes)
    label = make_label(folder, device)
    return [*written, label]


def _public(line: str | None) -> str | None:
    """Kind and key of an OpenSSH public key, without its comment. Raises EnrolmentError."""
    if line is None:
        return None
    parts = line.split()
    if len(parts) < 2 or not re.fullmatch(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+", parts[0]):
        raise EnrolmentError("the release key is no OpenSSH public key: one line, ssh-ed25519 AAAA...")
    return " ".join(parts[:2])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _pin(place: Path) -> str:
    """The device's PIN."""
    return _kept(place / "pin", giving.new_pin)


def _access_point_password(place: Path) -> str:
    """The password of the device's own Wi-Fi: 16 characters, for a captured greeting can be searched at leisure."""
    return _kept(place / "access-point-password", giving.new_code)


def _kept(file: Path, make: Callable[[], str]) -> str:
    """A secret of the label; it stays the same for a card that is made again, because the label hangs on the device."""
    if file.exists():
        return file.read_text(encoding="ascii").strip()
    made = make()
    write(file, made.encode())
    return made


def _write_card(place: Path, card: Card, wishes: Wishes) -> list[Path]:
    host = Host(
        f"nigiwai-{card.device}",
        ssh_key=wishes.ssh_key,
        wifi_name=wishes.wifi_name,
        wifi_password=wishes.wifi_password,
    )
    texts = {
        "nigiwai-device.toml": boot_files.device_toml(card),
        "user-data": boot_files.user_data(host),
        "custom.toml": boot_files.custom_toml(host),
    }
    for name, text in texts.items():
        write(place / "boot" / name, text.encode())
    return [place / "boot" / name for name in texts]


def make_label(folder: SiteFolder, device: str) -> Path:
    """Writes the label sheet and returns where. Raises EnrolmentError."""
    place, site = folder.device(device), folder.site()
    if not (place / "pin").exists():
        raise EnrolmentError(f"{device}: not in {folder.root}; make it with `nigiwai site add {device}`")
    certificate = place / "device.crt"
    shown = certificate if certificate.exists() else folder.ca_file
    print_of = authority.fingerprint(x509.load_pem_x509_certificate(shown.read_bytes()))
    url = f"https://{giving.host_of(device)}:8080/"
    label = Label(site.name, device, _pin(place), url, print_of, certificate.exists(), _access_point_password(place))
    write(place / "label.pdf", label_pdf(label))
    return place / "label.pdf"


def sign(folder: SiteFolder, device: str, request: Path) -> Path:
    """Signs a request that was carried by hand. Raises EnrolmentError."""
    check_name(device, "device")
    try:
        pem = request.read_bytes()
    except OSError as e:
        raise EnrolmentError(f"{request}: cannot be read ({e.strerror})") from None
    with folder.register() as register:
        giving.sign(folder, register, device, pem, utc_now())
    make_label(folder, device)
    return folder.device(device) / "device.crt"


def revoke(folder: SiteFolder, device: str) -> tuple[int, Path]:
    """Withdraws a device. Returns how many certificates, and the list for the broker. Raises EnrolmentError."""
    now = utc_now()
    with folder.register() as register:
        withdrawn = giving.revoke(register, device, now)
        return len(withdrawn), folder.write_revocations(folder.authority(), register, now)


def overview(folder: SiteFolder) -> list[tuple[str, str, str]]:
    """Each certificate: whose, how it stands, until when; the oldest first."""
    now = utc_now()
    with folder.register() as register:
        rows = []
        for given in register.certificates:
            over = datetime.fromisoformat(given.expires) <= now
            state = "revoked" if given.revoked else "expired" if over else "valid"
            rows.append((given.device, state, given.expires[:10]))
        return rows
