# SPDX-License-Identifier: Apache-2.0
"""What the page shows as sent is what an independent subscriber hears, to the byte, and all of it."""

import http.client
import json
import signal
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.link.harness import BRANCH, DEVICE, SITE, Broker, Ear, FakeEye, Link, wait_for
from tests.link.test_traits import table

pytest.importorskip("google.protobuf", reason="protobuf is not installed (pip install 'nigiwai[sparkplug]')")

HOME_ASSISTANT = f"homeassistant/device/nigiwai_{SITE}_{DEVICE}/config"
SPARKPLUG = {kind: f"spBv1.0/{SITE}/{kind}/{DEVICE}" for kind in ("NBIRTH", "NDATA", "NDEATH")}
REQUEST = b'{"transaction":"t1","epoch":"00000000","first":1,"last":2}'


def shown(link: Link) -> dict[str, bytes]:
    """Topic and bytes of every message on the page; a Sparkplug message's from its digits."""
    with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", link.page_port, timeout=20)) as asking:
        asking.request("GET", "/api/sent")
        with closing(asking.getresponse()) as answer:
            found = json.loads(answer.read())
        return {m["topic"]: bytes.fromhex(m["bytes"]) if "bytes" in m else m["payload"].encode() for m in found}
    return {}


def heard(ear: Ear) -> dict[str, bytes]:
    """What the broker last passed on under each topic, requests to the device aside."""
    return {topic: payload for topic, payload, _ in list(ear.heard) if "/request/" not in topic}


def test_the_page_shows_every_message_that_leaves(tmp_path: Path, broker: Broker, started: ExitStack) -> None:
    """Our own kinds, an answer to headquarters, Home Assistant's announcement and Sparkplug's messages."""
    link = Link(tmp_path, broker.port, interval_s=10, mqtt="home_assistant = true")
    with link.settings.open("a") as file:
        file.write(f'[sparkplug]\nenabled = true\nhost = "127.0.0.1"\nport = {broker.port}\n')
    started.callback(link.stop, signal.SIGKILL)
    ear = Ear(broker.port, "#")
    started.callback(ear.close)
    link.start()
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    for _ in range(6):
        eye.count(2, 1)
    eye.caller.add_table(table(eye, 1))
    wait_for(lambda: eye.pump() == 0 and not eye.caller.tables, "link to take all")
    # Link tells that it is there once it has asked for requests; one that comes before reaches nobody.
    wait_for(lambda: f"nigiwai/v1/{BRANCH}/availability" in heard(ear), "link to be connected")
    ear.client.publish(f"nigiwai/v1/{BRANCH}/request/resend", REQUEST, qos=1)

    leaves = ("availability", "info", "totals", "counts", "traits", "health", "response/resend")
    wanted = {*(f"nigiwai/v1/{BRANCH}/{leaf}" for leaf in leaves), HOME_ASSISTANT}
    wanted |= {SPARKPLUG["NBIRTH"], SPARKPLUG["NDATA"]}
    wait_for(lambda: wanted <= heard(ear).keys(), "every kind of message")
    wait_for(lambda: _same(link, ear), "the page to show what was heard last")

    death = shown(link)[SPARKPLUG["NDEATH"]]
    link.stop(signal.SIGKILL)
    wait_for(lambda: heard(ear).get(SPARKPLUG["NDEATH"]) == death, "the will, which was on the page before")


def _same(link: Link, ear: Ear) -> bool:
    page = shown(link)
    page.pop(SPARKPLUG["NDEATH"], None)  # left with the broker, which has not told it yet
    return page == heard(ear)
