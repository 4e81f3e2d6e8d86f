# SPDX-License-Identifier: Apache-2.0
"""What this device knows of its enrolment, and the steps from a fresh card to a certificate that is renewed in time.

/etc/nigiwai/enrolment.json            who it is and where the desk is; with the one-time code until it is used
/etc/nigiwai/credentials/              ca.crt, device.key, device.crt, pin: root only, handed to link by systemd
/run/nigiwai-enrolment.json            how the last attempt went, for the page: a code and words, no secret
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from nigiwai.enrol import client, keys
from nigiwai.enrol.client import Desk
from nigiwai.enrol.file import DeviceFile, Enrolment, check_code
from nigiwai.enrol.toml_text import to_toml
from nigiwai.enrol.trouble import ENROLMENT_TOLD, Trouble
from nigiwai.enrol.trouble import tell as write_told
from nigiwai.errors import EnrolmentError
from nigiwai.settings import Settings


@dataclass(frozen=True)
class Known:
    """What enrolment.json says."""

    site: str
    device: str
    url: str | None
    code: str | None
    expires: str | None
    group: str
    enrolled: bool = False

    @property
    def host(self) -> str:
        """The name under which phones find the page."""
        return f"nigiwai-{self.device}.local"

    @property
    def name(self) -> str:
        """The name of the certificate."""
        return f"{self.site}/{self.device}"


@dataclass(frozen=True)
class Places:
    """Where things lie; `root` stands for / in the tests."""

    root: Path = Path("/")

    @property
    def credentials(self) -> Path:
        """The folder that systemd hands to link."""
        return self.root / "etc/nigiwai/credentials"

    @property
    def known(self) -> Path:
        """enrolment.json."""
        return self.root / "etc/nigiwai/enrolment.json"

    @property
    def settings(self) -> Path:
        """The operator's settings."""
        return self.root / "etc/nigiwai/nigiwai.toml"

    @property
    def access_point(self) -> Path:
        """NetworkManager's profile of the device's own access point."""
        return self.root / "etc/NetworkManager/system-connections/nigiwai-access-point.nmconnection"

    @property
    def told(self) -> Path:
        """How the last attempt went."""
        return self.root / ENROLMENT_TOLD.relative_to("/")


def adopt(places: Places, parsed: DeviceFile, settings: Settings, toml: str) -> None:
    """Makes this card the device that the file names. `toml`: the text for nigiwai.toml. Raises EnrolmentError."""
    enrolment: Enrolment = parsed.enrolment
    known = Known(
        settings.device.site,
        settings.device.name,
        enrolment.url,
        enrolment.code.get_secret_value() if enrolment.code else None,
        enrolment.expires.isoformat() if enrolment.expires else None,
        parsed.group,
    )
    keys.put(places.credentials / "ca.crt", enrolment.ca.encode())
    keys.put(places.credentials / "pin", parsed.pin.get_secret_value().encode() + b"\n")
    keys.put(places.settings, toml.encode())
    places.settings.chmod(0o644)
    if parsed.updates is not None:
        update = {"group": parsed.group} | ({"source": parsed.updates.source} if parsed.updates.source else {})
        for name, text in (("release-signers", parsed.updates.signers), ("update.toml", to_toml(update))):
            keys.put(places.settings.with_name(name), text.encode())
    if parsed.access_point_password is not None:
        password = parsed.access_point_password.get_secret_value()
        keys.put(places.access_point, access_point(known.device, password).encode())
    _write_known(places, known)
    key, certificate = places.credentials / "device.key", places.credentials / "device.crt"
    keys.make_key(key)
    keys.make_placeholder(key, known.name, known.host, certificate)


def access_point(device: str, password: str) -> str:
    """The profile: WPA2, its own small network, no way on to another one. Pure."""
    return f"""[connection]
id=nigiwai-access-point
type=wifi
autoconnect=false

[wifi]
mode=ap
band=bg
ssid=nigiwai-{device}

[wifi-security]
key-mgmt=wpa-psk
proto=rsn
pairwise=ccmp
psk={password}

[ipv4]
method=shared
address1=10.42.0.1/24

[ipv6]
method=ignore
"""


def request(places: Places) -> tuple[Known, bytes]:
    """This device's signing request; its key is made at the first call. Raises EnrolmentError."""
    known = read_known(places)
    key = places.credentials / "device.key"
    if not key.exists():
        keys.make_key(key)
    return known, keys.make_request(key, known.name)


def enrol(places: Places, now: datetime) -> str:
    """Gets the first certificate with the one-time code, and says what was done. Raises EnrolmentError."""
    known, asked = request(places)
    if known.enrolled:
        return f"{known.name} has its certificate already"
    if known.url is None or known.code is None:
        raise EnrolmentError(
            "no enrolment desk or code is known; carry the signing request by hand: nigiwai enrol --request FILE",
            Trouble.CODE_OVER,
        )
    expires = datetime.fromisoformat(known.expires) if known.expires else None
    check_code(Enrolment(url=known.url, expires=expires, ca="-"), now)
    desk = Desk(known.url, places.credentials / "ca.crt")
    accept(places, client.enrol(desk, known.device, asked, known.code))
    return f"{known.name} is enrolled"


def accept(places: Places, certificate: bytes) -> None:
    """Puts a certificate in force if it is ours. The used code is forgotten. Raises EnrolmentError."""
    known = read_known(places)
    beside = places.credentials / ".device.crt.offered"
    keys.put(beside, certificate)
    try:
        keys.check_pair(beside, places.credentials / "device.key", places.credentials / "ca.crt", known.name)
        keys.put(places.credentials / "device.crt", certificate)
    finally:
        beside.unlink(missing_ok=True)
    _write_known(places, Known(**{**asdict(known), "code": None, "expires": None, "enrolled": True}))


def renew(places: Places, now: datetime) -> str:
    """Gets the next certificate, with a new key, once two thirds of the present one are over. Raises EnrolmentError."""
    known = read_known(places)
    present = keys.read_certificate(places.credentials / "device.crt")
    due = present.begins + (present.ends - present.begins) * 2 / 3
    if now < due:
        return f"{known.name}: the certificate is good until {present.ends:%Y-%m-%d}; a new one is due {due:%Y-%m-%d}"
    if now >= present.ends:
        # The desk knows who asks by the certificate that is to be followed, and TLS lets no expired one through.
        raise EnrolmentError(
            f"{known.name}: the certificate ended on {present.ends:%Y-%m-%d}, and the desk renews only those that are"
            " still good; carry a signing request by hand: nigiwai enrol --request FILE",
            Trouble.CERTIFICATE_OVER,
        )
    if known.url is None:
        raise EnrolmentError(
            f"{known.name}: the certificate ends on {present.ends:%Y-%m-%d} and no enrolment desk is known; carry a"
            " signing request by hand: nigiwai enrol --request FILE",
            Trouble.CERTIFICATE_ENDS,
        )
    _renew_at(places, known, known.url)
    return f"{known.name}: the certificate was renewed"


def _renew_at(places: Places, known: Known, url: str) -> None:
    folder = places.credentials
    desk = Desk(url, folder / "ca.crt", folder / "device.crt", folder / "device.key")
    # In a folder of its own, so that both are complete before either takes the place of what works.
    fresh = folder.parent / "credentials.next"
    keys.make_key(fresh / "device.key")
    keys.put(
        fresh / "device.crt", client.renew(desk, known.device, keys.make_request(fresh / "device.key", known.name))
    )
    keys.check_pair(fresh / "device.crt", fresh / "device.key", folder / "ca.crt", known.name)
    finish_renewal(places)


def finish_renewal(places: Places) -> None:
    """Moves a complete new pair into force. Called at each start too: a power cut between the two is mended here."""
    fresh = places.credentials.parent / "credentials.next"
    certificate, key = fresh / "device.crt", fresh / "device.key"
    if certificate.exists():
        # The key goes first: as long as the certificate waits, the next start knows that this is not finished.
        if key.exists():
            key.rename(places.credentials / "device.key")
        certificate.rename(places.credentials / "device.crt")
    key.unlink(missing_ok=True)
    if fresh.is_dir():
        fresh.rmdir()


def tell(places: Places, trouble: str, text: str) -> None:
    """Writes down how it went, for the page to show. Raises EnrolmentError."""
    try:
        write_told(places.told, trouble, text)
    except OSError as e:
        raise EnrolmentError(f"{places.told}: cannot be written ({e.strerror})") from None


def read_known(places: Places) -> Known:
    """What enrolment.json says. Raises EnrolmentError."""
    try:
        return Known(**json.loads(places.known.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise EnrolmentError(
            "this device has no enrolment; give it the file from headquarters: nigiwai enrol --from FILE", Trouble.FILE
        ) from None
    except (OSError, ValueError, TypeError) as e:
        raise EnrolmentError(f"{places.known}: cannot be used ({type(e).__name__})", Trouble.FILE) from None


def _write_known(places: Places, known: Known) -> None:
    keys.put(places.known, json.dumps(asdict(known)).encode())
