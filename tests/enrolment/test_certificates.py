# SPDX-License-Identifier: Apache-2.0
"""Certificates that are over, soon over or not begun: made by the site's own authority, refused by a real Mosquitto."""

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="cryptography is not installed")
pytest.importorskip("reportlab", reason="reportlab is not installed")

from cryptography.hazmat.primitives.serialization import Encoding

from nigiwai.enrol.station import Places
from nigiwai.enrol.trouble import REMEDIES, Trouble
from nigiwai.lab.broker import free_port
from nigiwai.link.certificate_files import Certificates
from nigiwai.link.certificates import DEVICE_NOTICE, SITE_NOTICE, Span, Spans, flaws
from nigiwai.settings import Mqtt
from nigiwai.site import authority, work
from nigiwai.site.folder import Site, SiteFolder, write, write_key
from nigiwai.staff.status import _enrolment
from nigiwai.staff.words import Language
from nigiwai.update.health import _connected
from tests.conftest import PROOF, run_nigiwai
from tests.enrolment.test_broker import broker
from tests.link.harness import BRANCH, SITE, Ear, FakeEye, Link, wait_for

NOW = datetime.now(UTC)
DAYS = {n: timedelta(days=n) for n in (1, 3, 10, 29, 31, 89, 91, 398, 3_650)}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as started:
        yield started


def site_begun(tmp_path: Path, then: datetime, monkeypatch: pytest.MonkeyPatch) -> SiteFolder:
    """A site whose authority was made at that time, for ten years."""
    monkeypatch.setattr(work, "utc_now", lambda: then)
    work.init(tmp_path / "site", Site(SITE, ("127.0.0.1",), 8_883, free_port()), 10)
    return SiteFolder(tmp_path / "site")


def sign(site: SiteFolder, folder: Path, then: datetime) -> str:
    """Gives the device a key and a certificate of that time; the settings that name them."""
    key = authority.new_key()
    made = authority.sign_client(site.authority(), BRANCH, key.public_key(), then)
    write_key(folder / "device.key", key)
    write(folder / "device.crt", made.public_bytes(Encoding.PEM))
    return f'ca_file = "{site.ca_file}"\ncert_file = "{folder}/device.crt"\nkey_file = "{folder}/device.key"'


def page(link: Link) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{link.page_port}/api/now", timeout=5) as answer:
            return dict(json.load(answer))
    except OSError:
        return {}


def light(link: Link) -> tuple[str, str]:
    """The broker's, as the page has it."""
    shown = [x for x in page(link).get("lights", []) if x["subject"] == "broker"]
    return (shown[0]["light"], shown[0]["cause"]) if shown else ("", "")


def codes(link: Link) -> list[str]:
    return [trouble["code"] for trouble in page(link).get("troubles", [])]


def start(stack: ExitStack, tmp_path: Path, port: int, tls: str) -> tuple[Link, FakeEye]:
    link = Link(tmp_path, port, interval_s=10, mqtt=tls)
    stack.callback(link.stop, signal.SIGKILL)
    link.start()
    eye = FakeEye(link.socket)
    stack.callback(eye.close)
    return link, eye


CONNECT, CONNACK = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test", b"\x20\x02\x00\x00"
"""MQTT 3.1.1 by hand, of a client named `test`."""


def gets_through(port: int, ca: Path, certificate: Path, key: Path) -> bool:
    """Whether both sides take each other's certificate and the broker lets it in."""
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(CONNECT)
            return secure.recv(4) == CONNACK
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize(
    ("began", "signed", "trouble", "let_in"),
    [
        (NOW, NOW - DAYS[398] - DAYS[1], Trouble.CERTIFICATE_OVER, False),
        (NOW, NOW - DAYS[398] + DAYS[29], Trouble.CERTIFICATE_ENDS, True),
        (NOW, NOW - DAYS[398] + DAYS[31], None, True),
        (NOW, NOW + DAYS[3], Trouble.CLOCK, False),
        (NOW - DAYS[3_650] - DAYS[1], NOW, Trouble.SITE_OVER, False),
    ],
)
def test_what_the_files_tell_is_what_the_broker_makes_of_them(
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    began: datetime,
    signed: datetime,
    trouble: Trouble | None,
    let_in: bool,
) -> None:
    site = site_begun(tmp_path, began, monkeypatch)
    running = stack.enter_context(broker(site, tmp_path / "broker"))
    sign(site, tmp_path, signed)
    files = (site.ca_file, tmp_path / "device.crt", tmp_path / "device.key")

    watched = Certificates(Mqtt(ca_file=files[0], cert_file=files[1], key_file=files[2]))
    found = [watched.look(time.time_ns()) for _ in range(2)][-1]

    assert [flaw.trouble for flaw in found] == ([trouble] if trouble else [])
    assert gets_through(running.port, *files) is let_in
    assert all(flaw.shuts_out is not let_in for flaw in found)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [words.startswith(f"{trouble}: {REMEDIES[trouble][1]}") for words in said if trouble] == [True] * len(found)


needs_proof = pytest.mark.skipif(not PROOF, reason="the other certificates in whole processes: make proof")


@pytest.mark.parametrize(
    ("signed", "trouble", "cause"),
    [
        (NOW - DAYS[398] - DAYS[1], Trouble.CERTIFICATE_OVER, "certificate_over"),
        pytest.param(NOW + DAYS[3], Trouble.CLOCK, "certificate_early", marks=needs_proof),
    ],
)
def test_a_device_that_is_shut_out_says_why_counts_on_and_delivers_once_it_is_renewed(
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    signed: datetime,
    trouble: Trouble,
    cause: str,
) -> None:
    site = site_begun(tmp_path, NOW, monkeypatch)
    running = stack.enter_context(broker(site, tmp_path / "broker"))
    link, eye = start(stack, tmp_path, running.port, sign(site, tmp_path, signed))
    for _ in range(4):
        eye.count(1, 0)
    eye.deliver()

    wait_for(lambda: light(link) == ("bad", cause), "the page's light")
    assert codes(link) == [trouble]
    assert page(link)["troubles"][0]["ja"] == REMEDIES[trouble][0]
    assert f"{trouble}: {REMEDIES[trouble][1]} (this device's certificate: " in link.log()
    wait_for(lambda: page(link)["queue"] >= 1, "records to wait")
    checked = run_nigiwai("check", "--settings", link.settings, "--only", "broker")
    assert (checked.returncode != 0, f"{trouble}: " in checked.stdout) == (True, True), checked.stdout

    sign(site, tmp_path, NOW)
    wait_for(lambda: light(link) == ("ok", "none"), "the renewed certificate to be taken", 120)
    wait_for(lambda: codes(link) == [] and page(link)["queue"] == 0, "everything to be delivered")
    assert link.log().count(f"{trouble}: ") == 1


@needs_proof
def test_a_certificate_that_soon_ends_is_told_here_and_to_headquarters(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_begun(tmp_path, NOW, monkeypatch)
    running = stack.enter_context(broker(site, tmp_path / "broker"))
    link, _eye = start(stack, tmp_path, running.port, sign(site, tmp_path, NOW - DAYS[398] + DAYS[29]))

    wait_for(lambda: light(link) == ("warn", "certificate_ends"), "the page's light")
    assert codes(link) == [Trouble.CERTIFICATE_ENDS]
    assert "E26: " in link.log()
    with heard(site, running.port) as ear:
        wait_for(lambda: [m["cause"].get("broker") for m in ear.messages("health")][-1:] == ["certificate_ends"], "it")
    assert ear.messages("health")[-1]["broker"] == "warn"


@contextlib.contextmanager
def heard(site: SiteFolder, port: int) -> Iterator[Ear]:
    """Headquarters, with its certificate."""
    keys = (site.root / "headquarters/client.crt", site.root / "headquarters/client.key")
    ear = Ear(port, "nigiwai/v1/#", tls=(site.ca_file, *keys))
    try:
        yield ear
    finally:
        ear.close()


@needs_proof
@pytest.mark.parametrize(("left", "shown"), [(-DAYS[1], ("bad", "site_certificate")), (DAYS[89], ("warn",))])
def test_a_sites_authority_that_is_over_or_nearly_is_told(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, left: timedelta, shown: tuple[str, ...]
) -> None:
    site = site_begun(tmp_path, NOW - DAYS[3_650] + left, monkeypatch)
    key = authority.new_key()
    server = authority.sign_server(site.authority(), ["127.0.0.1"], key.public_key(), NOW)
    write_key(site.broker / "server.key", key)
    write(site.broker / "server.crt", server.public_bytes(Encoding.PEM))
    running = stack.enter_context(broker(site, tmp_path / "broker"))
    link, _eye = start(stack, tmp_path, running.port, sign(site, tmp_path, NOW))

    wait_for(lambda: light(link)[: len(shown)] == shown and light(link)[1] == "site_certificate", "the page's light")
    assert codes(link) == [Trouble.SITE_OVER]
    assert "E27: " in link.log()


@needs_proof
def test_a_brokers_expired_certificate_is_told_as_headquarters_own(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_begun(tmp_path, NOW, monkeypatch)
    key = authority.new_key()
    over = NOW - timedelta(days=authority.SERVER_DAYS) - DAYS[1]
    server = authority.sign_server(site.authority(), ["127.0.0.1"], key.public_key(), over)
    write_key(site.broker / "server.key", key)
    write(site.broker / "server.crt", server.public_bytes(Encoding.PEM))
    running = stack.enter_context(broker(site, tmp_path / "broker"))
    link, _eye = start(stack, tmp_path, running.port, sign(site, tmp_path, NOW))

    wait_for(lambda: codes(link) == [Trouble.SITE_OVER], "the page to say so")
    assert "E27: its certificate has expired" in link.log()


@pytest.mark.parametrize(
    ("device", "site", "told"),
    [
        ((NOW - DAYS[10], NOW + DAYS[31]), (NOW - DAYS[398], NOW + DAYS[91]), []),  # all is well, by a day
        ((NOW - DAYS[398], NOW + DAYS[29]), None, [Trouble.CERTIFICATE_ENDS]),
        ((NOW - DAYS[398], NOW + DEVICE_NOTICE), None, [Trouble.CERTIFICATE_ENDS]),  # at the very moment
        ((NOW - DAYS[398], NOW), None, [Trouble.CERTIFICATE_OVER]),  # RFC 5280 has the end within; TLS ends with it
        ((NOW, NOW + DAYS[398]), None, []),
        ((NOW + DAYS[1], NOW + DAYS[398]), None, [Trouble.CLOCK]),
        (None, (NOW - DAYS[398], NOW + SITE_NOTICE), [Trouble.SITE_OVER]),
        (None, (NOW + DAYS[1], NOW + DAYS[398]), [Trouble.CLOCK]),
        # A week's certificate: notice in its last fifth, 1.4 days, not all the time.
        ((NOW - DAYS[3] - DAYS[1], NOW + DAYS[3]), None, []),
        ((NOW - DAYS[10], NOW + DAYS[1]), None, [Trouble.CERTIFICATE_ENDS]),
        # What shuts out comes first.
        ((NOW - DAYS[398], NOW), (NOW - DAYS[398], NOW + DAYS[1]), [Trouble.CERTIFICATE_OVER, Trouble.SITE_OVER]),
        (None, None, []),
    ],
)
def test_what_is_wrong_with_certificates(
    device: tuple[datetime, datetime] | None, site: tuple[datetime, datetime] | None, told: list[Trouble]
) -> None:
    spans = Spans(Span(*device) if device else None, Span(*site) if site else None)
    assert [flaw.trouble for flaw in flaws(spans, NOW)] == told


@pytest.mark.parametrize("trouble", [PermissionError(13, "refused"), subprocess.TimeoutExpired("openssl", 60)])
def test_where_openssl_does_not_answer_nothing_is_known_and_link_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    site = site_begun(tmp_path, NOW, monkeypatch)
    sign(site, tmp_path, NOW - DAYS[398] - DAYS[1])

    def refuse(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(subprocess, "run", refuse)
    files = Mqtt(ca_file=site.ca_file, cert_file=tmp_path / "device.crt", key_file=tmp_path / "device.key")
    watched = Certificates(files)
    assert [watched.look(time.time_ns()) for _ in range(2)] == [(), ()]
    assert [r.getMessage().split(": ")[1][:11] for r in caplog.records] == ["how long it"], "told once"


@pytest.mark.parametrize(("signed", "well"), [(NOW, True), (NOW - DAYS[398] - DAYS[1], False), (NOW + DAYS[3], False)])
def test_status_says_whether_the_certificate_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed: datetime, well: bool
) -> None:
    site, places = site_begun(tmp_path, NOW, monkeypatch), Places(tmp_path / "root")
    places.credentials.mkdir(parents=True)
    sign(site, places.credentials, signed)
    (line,) = _enrolment(places, Language.EN)
    assert (line.well, line.text.startswith(f"{BRANCH}, ")) == (well, True)


@pytest.mark.parametrize(
    ("shown", "cause", "works"),
    [("ok", "none", True), ("warn", "certificate_ends", True), ("warn", "broker_away", False), ("bad", "x", False)],
)
def test_a_certificate_that_soon_ends_is_no_fault_of_a_release(shown: str, cause: str, works: bool) -> None:
    assert _connected({"subject": "broker", "light": shown, "cause": cause}) is works
