# SPDX-License-Identifier: Apache-2.0
"""From `site init` to a device with a certificate that a real broker takes, and everything that must be refused."""

import json
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

pytest.importorskip("cryptography", reason="cryptography is not installed")
pytest.importorskip("reportlab", reason="reportlab is not installed")

from nigiwai.enrol import client, keys, station
from nigiwai.enrol import file as device_file
from nigiwai.enrol.first_start import RESULT_NAME, begin
from nigiwai.enrol.station import Places
from nigiwai.enrol.trouble import REMEDIES, Trouble, told
from nigiwai.errors import EnrolmentError
from nigiwai.lab.broker import free_port
from nigiwai.site import giving, work
from nigiwai.site.desk import Desk
from nigiwai.site.folder import Site, SiteFolder
from nigiwai.site.label import FONT_FILE, Label, as_phones_show_it, label_pdf, letters_of
from nigiwai.site.typeface import truetype
from tests.conftest import run_nigiwai

NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path) -> SiteFolder:
    work.init(tmp_path / "site", Site("hall", ("127.0.0.1", "localhost"), 8_883, free_port()), 10)
    return SiteFolder(tmp_path / "site")


def card(folder: SiteFolder, tmp_path: Path, device: str = "east") -> Places:
    """A freshly written card's first start: the device's file is adopted."""
    work.add(folder, device, work.Wishes(), again=False)
    boot = tmp_path / f"boot-{device}"
    boot.mkdir()
    (boot / "nigiwai-device.toml").write_bytes((folder.device(device) / "boot/nigiwai-device.toml").read_bytes())
    places = Places(tmp_path / f"root-{device}")
    begin(places, boot / "nigiwai-device.toml")
    return places


@contextmanager
def open_desk(folder: SiteFolder) -> Iterator[None]:
    desk = Desk(folder, ("127.0.0.1", folder.site().desk_port))
    serving = threading.Thread(target=desk.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield
    finally:
        desk.shutdown()
        desk.server_close()
        serving.join()


def refused(trouble: Trouble) -> "pytest.RaisesExc[EnrolmentError]":
    return pytest.raises(EnrolmentError, check=lambda e: e.trouble == trouble)


def age_certificate(folder: SiteFolder, places: Places) -> None:
    """Gives the device a certificate that is nearly over, as a year would."""
    known = station.read_known(places)
    with folder.register() as register:
        then = NOW - timedelta(days=300)
        made = giving.sign(folder, register, known.device, station.request(places)[1], then)
    from cryptography.hazmat.primitives.serialization import Encoding

    keys.put(places.credentials / "device.crt", made.public_bytes(Encoding.PEM))


def test_a_card_becomes_a_device_whose_key_never_leaves_it(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    with open_desk(folder):
        station.enrol(places, NOW)
    found = keys.check_pair(*(places.credentials / n for n in ("device.crt", "device.key", "ca.crt")), name="hall/east")
    assert timedelta(days=390) < found.ends - NOW < timedelta(days=400)
    key = (places.credentials / "device.key").read_text()
    assert all(key not in p.read_text(errors="replace") for p in folder.root.rglob("*") if p.is_file())
    assert (places.credentials / "device.key").stat().st_mode & 0o777 == 0o600
    assert station.read_known(places).code is None, "a used code is forgotten"


def test_the_device_gets_an_access_point_whose_password_stands_on_the_label(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    profile = places.access_point.read_text()
    password = (folder.device("east") / "access-point-password").read_text()
    assert f"psk={password}\n" in profile
    assert "ssid=nigiwai-east\n" in profile
    assert "autoconnect=false\n" in profile
    assert places.access_point.stat().st_mode & 0o777 == 0o600, "NetworkManager ignores a profile that others can read"


def test_the_card_says_whose_releases_the_device_takes(folder: SiteFolder, tmp_path: Path) -> None:
    from nigiwai.update import source

    wishes = work.Wishes(
        group="pilot", release_key="ssh-ed25519 AAAA me@office", releases="https://hq.example.jp/releases"
    )
    work.add(folder, "east", wishes, again=False)
    places = Places(tmp_path / "root")
    begin(places, folder.device("east") / "boot/nigiwai-device.toml")
    signers = (places.settings.with_name("release-signers")).read_text()
    assert signers == 'release namespaces="nigiwai-release" ssh-ed25519 AAAA\n'
    config = source.read_config(places.settings.with_name("update.toml"))
    assert (config.source, config.group) == ("https://hq.example.jp/releases", "pilot")
    with pytest.raises(EnrolmentError, match="no OpenSSH public key"):
        work.add(folder, "west", work.Wishes(release_key="AAAA"), again=False)


def test_until_it_is_enrolled_the_device_has_a_certificate_of_its_own_for_its_page(
    folder: SiteFolder, tmp_path: Path
) -> None:
    places = card(folder, tmp_path)
    assert keys.read_certificate(places.credentials / "device.crt").name == "hall/east"
    with pytest.raises(EnrolmentError):
        keys.check_pair(*(places.credentials / n for n in ("device.crt", "device.key", "ca.crt")), name="hall/east")


def test_the_boot_partitions_file_is_emptied_and_says_how_it_went(folder: SiteFolder, tmp_path: Path) -> None:
    card(folder, tmp_path)
    boot = tmp_path / "boot-east"
    assert [p.name for p in boot.iterdir()] == [RESULT_NAME]
    assert (boot / RESULT_NAME).read_text().startswith("OK\n")


def test_the_settings_on_the_device_are_those_of_the_file_and_valid(folder: SiteFolder, tmp_path: Path) -> None:
    from nigiwai import settings

    places = card(folder, tmp_path)
    loaded = settings.load(places.settings)
    assert (loaded.device.site, loaded.device.name, loaded.mqtt.host) == ("hall", "east", "127.0.0.1")
    assert [g.name for g in loaded.gate] == ["door"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[enrolment]", "[enrolmnt]", "enrolmnt: unknown key; did you mean 'enrolment'?"),
        ("pin = ", "pinn = ", "pinn: unknown key; did you mean 'pin'?"),
        ('pin = "', 'pin = "x', "pin: is not 6 to 12 digits"),
        ('source = "pi"', 'source = "pie"', "settings: camera.source = 'pie'"),
        ('url = "https', 'url = "http', "enrolment.url"),
        ("[settings.device]", "[settings.device", "not valid TOML"),
        ("[settings.mqtt]", "[settings.mqt]", "settings: mqt: unknown key; did you mean 'mqtt'?"),
    ],
)
def test_typos_in_the_file_are_told_and_change_nothing(
    folder: SiteFolder, tmp_path: Path, old: str, new: str, words: str
) -> None:
    work.add(folder, "east", work.Wishes(), again=False)
    text = (folder.device("east") / "boot/nigiwai-device.toml").read_text()
    assert old in text
    file = tmp_path / "nigiwai-device.toml"
    file.write_text(text.replace(old, new, 1))
    with refused(Trouble.FILE) as error:
        begin(Places(tmp_path / "root"), file)
    assert words in str(error.value)
    assert (folder.device("east") / "pin").read_text() not in str(error.value), "the PIN is not quoted"
    assert file.exists()
    assert (tmp_path / RESULT_NAME).read_text().startswith("E11\n")
    assert not (tmp_path / "root").exists()


def test_a_wrong_or_used_or_late_code_is_refused(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    known, request = station.request(places)
    desk = client.Desk(str(known.url), places.credentials / "ca.crt")
    with open_desk(folder):
        with refused(Trouble.CODE_WRONG):
            client.enrol(desk, "east", request, "AAAA-AAAA-AAAA-AAAA")
        with refused(Trouble.CODE_OVER):
            station.enrol(places, NOW + timedelta(days=giving.CODE_DAYS + 1))
        station.enrol(places, NOW)
        with refused(Trouble.CODE_OVER):
            client.enrol(desk, "east", request, str(known.code))


def test_a_code_ends_at_headquarters_too(folder: SiteFolder) -> None:
    with folder.register() as register:
        code, expires = giving.issue_code(register, "east", NOW)
        shown = giving.proof(code, b"request")
        with pytest.raises(EnrolmentError, match="ended on"):
            giving.redeem(register, "east", b"request", shown, expires + timedelta(seconds=1))
        with pytest.raises(EnrolmentError, match="is wrong"):
            giving.redeem(register, "east", b"another request", shown, NOW)
        giving.redeem(register, "east", b"request", shown, NOW)


def test_both_sides_reckon_the_proof_alike() -> None:
    assert client.proof("abcd-efgh", b"r") == giving.proof("ABCD EFGH", b"r")


def test_a_code_is_for_its_device_only(folder: SiteFolder, tmp_path: Path) -> None:
    east, west = card(folder, tmp_path), card(folder, tmp_path, "west")
    _, request = station.request(west)
    known = station.read_known(east)
    with open_desk(folder), pytest.raises(EnrolmentError, match="is for 'hall/west'"):
        client.enrol(client.Desk(str(known.url), east.credentials / "ca.crt"), "east", request, str(known.code))
    with open_desk(folder):
        assert "is enrolled" in station.enrol(east, NOW), "a request that could not be signed uses no code up"


def test_somebody_else_at_the_desks_address_is_found_out(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    port = folder.site().desk_port
    work.init(tmp_path / "rogue", Site("hall", ("127.0.0.1",), 8_883, port), 10)
    with open_desk(SiteFolder(tmp_path / "rogue")), refused(Trouble.DESK_STRANGE):
        station.enrol(places, NOW)


def test_a_clock_before_the_certificates_start_is_told(folder: SiteFolder, tmp_path: Path) -> None:
    """The desk's certificate begins in a week, as it looks to a device whose clock stands still."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from nigiwai.site import authority
    from nigiwai.site.folder import write, write_key

    places, key = card(folder, tmp_path), authority.new_key()
    later = NOW + timedelta(days=8)
    made = authority.sign_server(folder.authority(), ["127.0.0.1"], key.public_key(), later)
    write_key(folder.broker / "server.key", key)
    write(folder.broker / "server.crt", made.public_bytes(Encoding.PEM))
    with open_desk(folder), refused(Trouble.CLOCK):
        station.enrol(places, NOW)


def test_without_a_network_it_says_so_and_keeps_the_code(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    with refused(Trouble.DESK_AWAY):
        station.enrol(places, NOW)
    with open_desk(folder):
        station.enrol(places, NOW)


def test_a_request_can_be_carried_by_hand(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    _, request = station.request(places)
    (tmp_path / "east.csr").write_bytes(request)
    signed = work.sign(folder, "east", tmp_path / "east.csr")
    station.accept(places, signed.read_bytes())
    assert station.read_known(places).enrolled


def test_a_certificate_for_another_key_is_not_taken(folder: SiteFolder, tmp_path: Path) -> None:
    east, west = card(folder, tmp_path), card(folder, tmp_path, "west")
    before = (east.credentials / "device.crt").read_bytes()
    (tmp_path / "west.csr").write_bytes(station.request(west)[1])
    signed = work.sign(folder, "west", tmp_path / "west.csr")
    with refused(Trouble.CERTIFICATE):
        station.accept(east, signed.read_bytes())
    assert (east.credentials / "device.crt").read_bytes() == before


def test_renewal_waits_for_its_time_and_then_makes_a_new_key(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    with open_desk(folder):
        station.enrol(places, NOW)
        assert "a new one is due" in station.renew(places, NOW)
        age_certificate(folder, places)
        before = (places.credentials / "device.key").read_bytes()
        assert "was renewed" in station.renew(places, NOW)
    assert (places.credentials / "device.key").read_bytes() != before
    names = ("device.crt", "device.key", "ca.crt")
    assert keys.check_pair(*(places.credentials / n for n in names), name="hall/east").ends > NOW + timedelta(days=390)
    assert not (places.credentials.parent / "credentials.next").exists()


def test_an_expired_certificate_is_renewed_by_hand(folder: SiteFolder, tmp_path: Path) -> None:
    """TLS lets an expired one through to no desk, so that is not even tried; and the words say what helps."""
    places = card(folder, tmp_path)
    with open_desk(folder):
        station.enrol(places, NOW)
        over = NOW + timedelta(days=399)
        with refused(Trouble.CERTIFICATE_OVER) as error:
            station.renew(places, over)
    assert "nigiwai enrol --request FILE" in str(error.value)
    (tmp_path / "csr").write_bytes(station.request(places)[1])
    station.accept(places, work.sign(folder, "east", tmp_path / "csr").read_bytes())
    assert "a new one is due" in station.renew(places, NOW)


def test_a_renewal_that_is_due_without_a_desk_is_told_as_an_end_that_nears(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    with open_desk(folder):
        station.enrol(places, NOW)
    age_certificate(folder, places)
    known = json.loads(places.known.read_text())
    places.known.write_text(json.dumps({**known, "url": None}))
    with refused(Trouble.CERTIFICATE_ENDS):
        station.renew(places, NOW)


@pytest.mark.parametrize("typo", [True, False])
def test_what_the_command_refuses_is_told_in_the_journal_and_on_the_page(
    folder: SiteFolder, tmp_path: Path, typo: bool
) -> None:
    """An expired enrolment, and a file with a typo on a device that counts: code and words, and the page's note."""
    places = card(folder, tmp_path)
    known = json.loads(places.known.read_text())
    places.known.write_text(json.dumps({**known, "expires": (NOW - timedelta(days=1)).isoformat()}))
    wrong = tmp_path / "nigiwai-device.toml"
    wrong.write_text("[enrolmnt]\n")
    done = run_nigiwai("enrol", *(("--from", wrong) if typo else ("--renew",)), "--root", places.root)
    trouble = Trouble.FILE if typo else Trouble.CODE_OVER
    assert (done.returncode != 0, f"nigiwai: {trouble}" in done.stderr) == (True, True), done.stderr
    assert "Traceback" not in done.stderr
    assert told((places.told,)) == (trouble,)


@pytest.mark.parametrize("moved", [0, 1])
def test_a_renewal_that_the_power_cut_in_two_is_finished_at_the_next_start(
    folder: SiteFolder, tmp_path: Path, moved: int
) -> None:
    places = card(folder, tmp_path)
    fresh = places.credentials.parent / "credentials.next"
    keys.make_key(fresh / "device.key")
    (tmp_path / "csr").write_bytes(keys.make_request(fresh / "device.key", "hall/east"))
    keys.put(fresh / "device.crt", work.sign(folder, "east", tmp_path / "csr").read_bytes())
    if moved:
        (fresh / "device.key").rename(places.credentials / "device.key")
    station.finish_renewal(places)
    keys.check_pair(*(places.credentials / n for n in ("device.crt", "device.key", "ca.crt")), name="hall/east")
    assert not fresh.exists()


def test_a_revoked_device_is_not_renewed(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    with open_desk(folder):
        station.enrol(places, NOW)
        age_certificate(folder, places)
        work.revoke(folder, "east")
        with refused(Trouble.REVOKED):
            station.renew(places, NOW)


def test_the_revocation_list_names_the_device_and_lasts(folder: SiteFolder, tmp_path: Path) -> None:
    places = card(folder, tmp_path)
    (tmp_path / "csr").write_bytes(station.request(places)[1])
    certificate = work.sign(folder, "east", tmp_path / "csr")
    check = ("openssl", "verify", "-crl_check", "-CAfile", folder.ca_file, "-CRLfile", folder.broker / "revoked.crl")
    before = subprocess.run([*map(str, check), str(certificate)], capture_output=True, text=True, check=False)
    count, listed = work.revoke(folder, "east")
    after = subprocess.run([*map(str, check), str(certificate)], capture_output=True, text=True, check=False)
    assert (before.returncode, count) == (0, 1)
    assert "revoked" in after.stderr
    shown = subprocess.run(["openssl", "crl", "-in", listed, "-noout", "-nextupdate"], capture_output=True, text=True)
    assert str(NOW.year + 9) in shown.stdout or str(NOW.year + 10) in shown.stdout


def test_the_label_is_a_page_with_everything_on_it() -> None:
    label = Label(
        "hall", "east", "12345678", "https://nigiwai-east.local:8080/", "ab12 " * 7 + "ab12", True, "ABCD-EFGH"
    )
    made = label_pdf(label)
    assert made.startswith(b"%PDF-")
    assert made == label_pdf(label), "the same label gives the same file"
    assert made != label_pdf(Label(**{**label.__dict__, "pin": "87654321"}))


@pytest.mark.skipif(not FONT_FILE.exists(), reason="fonts-noto-cjk is not installed")
def test_the_label_brings_every_letter_that_stands_on_it() -> None:
    """A reader without Japanese fonts shows, and prints, an empty sheet otherwise."""
    label = Label("hall", "east", "12345678", "https://nigiwai-east.local:8080/", "ab12 " * 7 + "ab12", True, "ABCD")
    cut = truetype(FONT_FILE, letters_of(label))
    assert cut is not None
    with TTFont(cut) as font:
        assert {chr(code) for code in font.getBestCmap()} >= letters_of(label)
    assert b"/FontFile2" in label_pdf(label)


def test_without_a_font_there_is_a_label_all_the_same(tmp_path: Path) -> None:
    label = Label("hall", "east", "12345678", "https://nigiwai-east.local:8080/", "ab12 " * 7 + "ab12", True, "ABCD")
    (tmp_path / "font.ttc").write_text("no font")
    for missing in (tmp_path / "none.ttc", tmp_path / "font.ttc"):
        assert b"HeiseiKakuGo-W5" in label_pdf(label, missing)


def test_the_fingerprint_is_written_as_phones_show_it() -> None:
    assert as_phones_show_it("40c2 7e69") == "40:C2:7E:69 …"


def test_every_trouble_has_a_remedy_in_both_languages() -> None:
    assert set(REMEDIES) == set(Trouble)
    assert all(japanese and english for japanese, english in REMEDIES.values())


def test_user_data_is_what_cloud_init_reads(folder: SiteFolder) -> None:
    work.add(
        folder, "east", work.Wishes(wifi_name="会場", wifi_password='a"b\\c', ssh_key="ssh-ed25519 AAAA x"), again=False
    )
    text = (folder.device("east") / "boot/user-data").read_text()
    assert text.startswith("#cloud-config\n")
    data = json.loads(text.partition("\n")[2])
    assert data["hostname"] == "nigiwai-east"
    assert data["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA x"]
    assert 'psk=a"b\\c' in data["write_files"][0]["content"]
    custom = tomllib.loads((folder.device("east") / "boot/custom.toml").read_text())
    assert custom["wlan"]["ssid"] == "会場"


def test_a_card_made_again_keeps_the_pin_and_ends_the_old_code(folder: SiteFolder, tmp_path: Path) -> None:
    old = card(folder, tmp_path)
    pin = (folder.device("east") / "pin").read_text()
    with pytest.raises(EnrolmentError, match="--again"):
        work.add(folder, "east", work.Wishes(), again=False)
    work.add(folder, "east", work.Wishes(), again=True)
    assert (folder.device("east") / "pin").read_text() == pin
    with open_desk(folder), refused(Trouble.CODE_WRONG):
        station.enrol(old, NOW)


def test_a_second_site_in_the_same_folder_is_refused(folder: SiteFolder) -> None:
    before = folder.ca_file.read_bytes()
    with pytest.raises(EnrolmentError, match="a second CA would shut out"):
        work.init(folder.root, Site("hall", ("b",), 8_883, 8_884), 10)
    assert folder.ca_file.read_bytes() == before


def test_keys_at_headquarters_are_their_owners_only(folder: SiteFolder) -> None:
    for key in folder.root.rglob("*.key"):
        assert key.stat().st_mode & 0o077 == 0, key


def test_the_file_may_come_back_with_a_byte_order_mark(folder: SiteFolder, tmp_path: Path) -> None:
    """Windows' editor puts one in front."""
    work.add(folder, "east", work.Wishes(), again=False)
    file = tmp_path / "nigiwai-device.toml"
    file.write_bytes(b"\xef\xbb\xbf" + (folder.device("east") / "boot/nigiwai-device.toml").read_bytes())
    assert device_file.load(file)[1].device.name == "east"
