# SPDX-License-Identifier: Apache-2.0
"""On the wire, with TLS off, there is nothing of link but its messages: every packet of a network is read."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.link.harness import ROOT
from tests.link.tap import CONNECT, DISCONNECT, PINGREQ, PUBLISH, SUBSCRIBE, packets, read_publish


@pytest.mark.slow
def test_every_packet_on_the_wire_belongs_to_a_message_that_a_subscriber_hears(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a network of one's own can only be made by root, with unshare and ip")
    command = ["unshare", "--net", sys.executable, "-m", "tests.link.namespace", tmp_path]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'device'}"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120)
    if done.returncode != 0 and "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let root make a network")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    said = [*packets(bytes.fromhex(told["said"]))]
    published = [read_publish(p) for p in said if p.kind == PUBLISH]
    assert set(told["kinds"]) == {"tcp"}  # no name is looked up, no time asked for, nobody told of anything
    assert told["ports"] == [told["broker"]]
    assert [[p.topic, p.payload.decode()] for p in published] == told["heard"]
    assert all(p.properties == b"" for p in published)
    assert [p.kind for p in said if p.kind not in (PUBLISH, PINGREQ)] == [CONNECT, SUBSCRIBE, DISCONNECT]
    assert len(published) > 40
