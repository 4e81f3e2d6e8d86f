# SPDX-License-Identifier: Apache-2.0
"""The broker's files as they are shipped: TLS, certificates, and each device on its own branch."""

import json
import shutil
import sqlite3
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from nigiwai.lab.broker import free_port
from tests.conftest import run_nigiwai
from tests.link.harness import BRANCH, ROOT, Broker, FakeEye, Link, reference_consumer, wait_for
from tests.link.test_service import SCHEMAS

PROVISIONING = ROOT / "provisioning" / "broker"


def _certificates(*arguments: object) -> None:
    subprocess.run([PROVISIONING / "certificates.sh", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt install openssl)")
    folder = tmp_path_factory.mktemp("site")
    _certificates("ca", folder)
    _certificates("server", folder, "localhost", "127.0.0.1")
    for name in (BRANCH, "ward/gate-2", "headquarters", "rehearsal"):
        _certificates("client", folder, name)
    rogue = folder / "rogue"
    _certificates("ca", rogue)
    _certificates("client", rogue, BRANCH)
    return folder


def _rules_of_the_readme() -> str:
    """The rules that README.md gives for a rehearsal."""
    text = (PROVISIONING / "README.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in text[text.index("    user rehearsal") :].split("\n\n")[0].splitlines()]
    assert len(lines) == 3
    return "\n".join(["", *lines, ""])


@pytest.fixture
def secure(tmp_path: Path, site: Path) -> Iterator[Broker]:
    """Mosquitto with the shipped configuration, its paths and port changed, and a rehearsal let in."""
    folder = tmp_path / "secure"
    folder.mkdir()
    port = free_port()
    rules = (PROVISIONING / "access.conf").read_text(encoding="utf-8") + _rules_of_the_readme()
    (folder / "access.conf").write_text(rules, encoding="utf-8")
    config = (PROVISIONING / "mosquitto.conf").read_text(encoding="utf-8")
    config = (
        config.replace("listener 8883", f"listener {port} 127.0.0.1")
        .replace("/etc/mosquitto/certs", str(site))
        .replace("/etc/mosquitto/nigiwai-access.conf", str(folder / "access.conf"))
        .replace("/var/lib/mosquitto/", f"{folder}/")
    )
    running = Broker(folder, config + "\nuser root\n", port)
    yield running
    running.stop()


class Client:
    """Somebody with a certificate, who hears what the broker lets them hear."""

    def __init__(self, broker: Broker, site: Path, name: str, pattern: str, client_id: str = "") -> None:
        file = name.replace("/", ".")
        self.heard: list[str] = []
        self.subscribed = threading.Event()
        self.refusals: list[int] = []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self.client.tls_set(site / "ca.crt", site / f"{file}.crt", site / f"{file}.key")
        self.client.on_connect = lambda c, *_: c.subscribe(pattern, qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _c, _d, m: self.heard.append(m.topic)
        self.client.on_publish = lambda _c, _d, _mid, reason, _p: self.refusals.append(reason.value)
        self.client.connect("localhost", broker.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def publish(self, topic: str) -> int:
        """The broker's reason code."""
        before = len(self.refusals)
        self.client.publish(topic, b"{}", qos=1)
        wait_for(lambda: len(self.refusals) > before, "an answer")
        return self.refusals[-1]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_link_connects_with_its_certificate_and_is_heard(secure: Broker, site: Path, tmp_path: Path) -> None:
    tls = f'ca_file = "{site}/ca.crt"\ncert_file = "{site}/ward.gate-1.crt"\nkey_file = "{site}/ward.gate-1.key"'
    headquarters = Client(secure, site, "headquarters", "nigiwai/v1/#")
    link = Link(tmp_path, secure.port, interval_s=10, mqtt=tls)
    link.start()
    eye = FakeEye(link.socket)
    for _ in range(4):
        eye.count(1, 0)
    eye.deliver()

    assert link.stop() == 0

    branch = f"nigiwai/v1/{BRANCH}"
    wait_for(lambda: {f"{branch}/counts", f"{branch}/availability"} <= set(headquarters.heard), "the counts")
    headquarters.close()
    eye.close()


def test_a_broker_with_another_ca_is_refused_and_counting_goes_on(secure: Broker, site: Path, tmp_path: Path) -> None:
    link = Link(tmp_path, secure.port, mqtt=f'ca_file = "{site}/rogue/ca.crt"')
    link.start()
    eye = FakeEye(link.socket)
    eye.count(1, 0)
    eye.deliver()

    wait_for(lambda: "its certificate is not from mqtt.ca_file" in link.log(), "the reason in the log")
    assert link.stop() == 0
    eye.close()


def test_a_password_is_never_told(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret-w0rd\n")
    link = Link(tmp_path, broker.port, mqtt=f'username = "u"\npassword_file = "{tmp_path}/password"')
    link.start()
    wait_for(lambda: "connected" in link.log(), "link")
    link.stop()

    assert "s3cret" not in link.log()
    assert b"s3cret" not in (tmp_path / "ledger.db").read_bytes()


@pytest.mark.parametrize("certificate", ["none", "rogue"])
def test_nobody_comes_in_without_a_certificate_of_the_site(secure: Broker, site: Path, certificate: str) -> None:
    context = ssl.create_default_context(cafile=site / "ca.crt")
    if certificate == "rogue":
        context.load_cert_chain(site / "rogue" / "ward.gate-1.crt", site / "rogue" / "ward.gate-1.key")
    connected = threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    ended = threading.Event()
    client.tls_set_context(context)
    client.on_connect = lambda *_: connected.set()
    client.on_disconnect = lambda *_: ended.set()
    try:
        client.connect("localhost", secure.port)
    except OSError:
        ended.set()
    else:
        client.loop_start()
    assert ended.wait(10)
    client.loop_stop()

    assert not connected.is_set()


def test_a_device_writes_only_its_own_branch_and_reads_only_its_own_requests(secure: Broker, site: Path) -> None:
    headquarters = Client(secure, site, "headquarters", "nigiwai/v1/#")
    device = Client(secure, site, BRANCH, "#", client_id="ward/gate-2")
    other = Client(secure, site, "ward/gate-2", "nigiwai/v1/+/+/request/+")

    own = [device.publish(f"nigiwai/v1/{BRANCH}/{leaf}") for leaf in ("counts", "availability", "response/resend")]
    foreign = [
        device.publish(topic)
        for topic in (
            "nigiwai/v1/ward/gate-2/counts",
            f"nigiwai/v1/{BRANCH}/request/resend",
            "nigiwai/v1/ward/gate-2/request/restart",
            "homeassistant/device/x/config",
        )
    ]
    asked = [headquarters.publish(f"nigiwai/v1/{name}/request/resend") for name in (BRANCH, "ward/gate-2")]
    wait_for(lambda: len(device.heard) >= 1 and len(other.heard) >= 1, "the requests")

    assert all(code < 0x80 for code in [*own, *asked])
    assert foreign == [0x87] * 4
    assert {t for t in headquarters.heard if "request" not in t} == {
        f"nigiwai/v1/{BRANCH}/{leaf}" for leaf in ("counts", "availability", "response/resend")
    }
    assert device.heard == [f"nigiwai/v1/{BRANCH}/request/resend"]
    assert other.heard == ["nigiwai/v1/ward/gate-2/request/resend"]
    assert headquarters.publish(f"nigiwai/v1/{BRANCH}/counts") == 0x87
    for client in (headquarters, device, other):
        client.close()


def test_a_record_that_the_broker_refuses_is_not_delivered(secure: Broker, site: Path, tmp_path: Path) -> None:
    """A device with another device's certificate is told 0x87 for every record, and keeps them."""
    tls = f'ca_file = "{site}/ca.crt"\ncert_file = "{site}/ward.gate-2.crt"\nkey_file = "{site}/ward.gate-2.key"'
    link = Link(tmp_path, secure.port, interval_s=10, mqtt=tls)
    link.start()
    eye = FakeEye(link.socket)
    for _ in range(6):
        eye.count(1, 0)
    eye.deliver()

    wait_for(lambda: "broker refuses records: Not authorized" in link.log(), "the refusal")
    assert link.stop() == 0
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        (acked,) = db.execute("SELECT count(*) FROM record WHERE acked_ns IS NOT NULL").fetchone()
        (kept,) = db.execute("SELECT count(*) FROM record").fetchone()
    assert acked == 0
    assert kept >= 3
    eye.close()


def _fleet(secure: Broker, site: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """The command as headquarters types it."""
    keys = ["--ca-file", site / "ca.crt", "--cert-file", site / "rehearsal.crt", "--key-file", site / "rehearsal.key"]
    played = ["--devices", 5, "--speed", 100_000, "--minutes", 90, "--start", "2026-11-23T10:00", *more]
    return run_nigiwai("fleet", "--host", "localhost", "--port", secure.port, *keys, *played)


def test_headquarters_rehearses_with_the_shipped_broker_and_ends_with_the_truth(secure: Broker, site: Path) -> None:
    consumer = reference_consumer().Consumer(":memory:", lambda *_: None)
    heard: list[tuple[str, bytes]] = []
    headquarters = Client(secure, site, "headquarters", "nigiwai/v1/+/+/#")
    headquarters.client.on_message = lambda _c, _d, m: heard.append((m.topic, bytes(m.payload)))

    done = _fleet(secure, site, "--faults", "away,double,order,replace,covered")

    assert done.returncode == 0, done.stderr
    true = json.loads(done.stdout)["true"]
    wait_for(lambda: sum(b'"stopped"' in p for _, p in heard) == 5, "every device to stop")
    for topic, payload in heard:
        SCHEMAS[topic.split("/")[4]].validate(json.loads(payload))
        consumer.take(topic, payload)
    assert {d: consumer.sums(f"rehearsal/{d}").get("door", [0, 0]) for d in true} == true
    assert sum(entered for entered, _ in true.values()) > 100
    leaves = {topic.split("/")[4] for topic, _ in heard}
    assert {"availability", "info", "totals", "counts", "health"} <= leaves
    headquarters.close()
    consumer.db.close()


@pytest.mark.parametrize("minutes", [1, 90])
def test_a_rehearsal_without_its_rule_says_which_is_missing(secure: Broker, site: Path, minutes: int) -> None:
    """However short it is: the last refusal comes after the last record was sent."""
    done = _fleet(secure, site, "--site", "ward", "--minutes", minutes)

    assert done.returncode != 0
    assert "refuses nigiwai/v1/ward/" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rehearsal_without_a_certificate_says_so(secure: Broker, site: Path) -> None:
    done = run_nigiwai("fleet", "--host", "localhost", "--port", secure.port, "--ca-file", site / "ca.crt")

    assert done.returncode != 0
    assert f"localhost:{secure.port}" in done.stderr
    assert "Traceback" not in done.stderr
