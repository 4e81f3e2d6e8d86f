# SPDX-License-Identifier: Apache-2.0
"""The folder that `nigiwai site` makes for the broker, in a real Mosquitto: who is let in, and who no more."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

pytest.importorskip("cryptography", reason="cryptography is not installed")
pytest.importorskip("reportlab", reason="reportlab is not installed")

from nigiwai.enrol import keys
from nigiwai.lab.broker import free_port
from nigiwai.site import work
from nigiwai.site.folder import Site, SiteFolder
from tests.link.harness import Broker

pytestmark = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None, reason="mosquitto is not installed"
)


@contextmanager
def broker(site: SiteFolder, folder: Path) -> Iterator[Broker]:
    """Mosquitto with the site's own configuration, its paths and port changed."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    config = (site.broker / "nigiwai.conf").read_text(encoding="utf-8")
    config = (
        config.replace("listener 8883", f"listener {port} 127.0.0.1")
        .replace("/etc/mosquitto/certs", str(site.broker))
        .replace("/etc/mosquitto/nigiwai-access.conf", str(site.broker / "nigiwai-access.conf"))
        .replace("/var/lib/mosquitto/", f"{folder}/")
    )
    running = Broker(folder, config + "\nuser root\n", port)
    try:
        yield running
    finally:
        running.stop()


def is_let_in(port: int, ca: Path, certificate: Path, key: Path) -> bool:
    """Whether the broker takes a client with that certificate."""
    answered, let_in = threading.Event(), threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.tls_set(str(ca), str(certificate), str(key))

    def connected(_c: object, _d: object, _f: object, reason: mqtt.ReasonCode, _p: object) -> None:
        if not reason.is_failure:
            let_in.set()
        answered.set()

    client.on_connect = connected
    client.on_disconnect = lambda *_: answered.set()
    try:
        client.connect("localhost", port)
        client.loop_start()
        assert answered.wait(20)
    except OSError:
        return False
    finally:
        client.disconnect()
        client.loop_stop()
    return let_in.is_set()


def device(site: SiteFolder, tmp_path: Path, name: str) -> tuple[Path, Path]:
    """A device's certificate and key."""
    key = tmp_path / f"{name}.key"
    keys.make_key(key)
    request = tmp_path / f"{name}.csr"
    request.write_bytes(keys.make_request(key, f"hall/{name}"))
    work.add(site, name, work.Wishes(), again=False)
    return work.sign(site, name, request), key


def test_a_revoked_device_is_shut_out_and_the_others_are_not(tmp_path: Path) -> None:
    site = SiteFolder(tmp_path / "site")
    work.init(site.root, Site("hall", ("localhost", "127.0.0.1"), 8_883, free_port()), 10)
    east, west = device(site, tmp_path, "east"), device(site, tmp_path, "west")
    headquarters = (site.root / "headquarters/client.crt", site.root / "headquarters/client.key")
    with broker(site, tmp_path / "before") as running:
        assert [is_let_in(running.port, site.ca_file, *who) for who in (east, west, headquarters)] == [True] * 3
    work.revoke(site, "east")
    with broker(site, tmp_path / "after") as running:
        let_in = [is_let_in(running.port, site.ca_file, *who) for who in (east, west, headquarters)]
    assert let_in == [False, True, True]


def test_a_device_of_another_site_is_shut_out(tmp_path: Path) -> None:
    ours, theirs = SiteFolder(tmp_path / "ours"), SiteFolder(tmp_path / "theirs")
    for site in (ours, theirs):
        work.init(site.root, Site("hall", ("localhost",), 8_883, free_port()), 10)
    stranger = device(theirs, tmp_path, "east")
    with broker(ours, tmp_path / "running") as running:
        assert not is_let_in(running.port, ours.ca_file, *stranger)
