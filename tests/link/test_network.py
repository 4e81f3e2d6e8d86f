# SPDX-License-Identifier: Apache-2.0
"""Link speaks through a network that delays, cuts, swallows and loses answers: the consumer ends with the truth."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import PROOF
from tests.link.faults import BadNetwork, Fault
from tests.link.harness import BRANCH, Broker, FakeEye, Link, consuming, wait_for

STORM_S = 300.0 if PROOF else 10.0


@pytest.mark.slow
@pytest.mark.timeout(int(120 + 2 * STORM_S))
def test_a_bad_network_loses_and_doubles_nothing(broker: Broker, tmp_path: Path, started: ExitStack) -> None:
    network = BadNetwork(broker.port, seed=4)
    started.callback(network.close)
    fallback = f'keepalive_s = 5\nfallback = [{{host = "127.0.0.1", port = {network.port}}}]'
    link = Link(tmp_path, network.port, interval_s=5, mqtt=fallback)
    started.callback(link.stop, signal.SIGKILL)
    eye = FakeEye(link.socket)
    started.callback(eye.close)
    link.start()
    with consuming(tmp_path, broker.port) as (consumer, ear):
        end_s, turn_s = time.monotonic() + STORM_S, 0.0
        while time.monotonic() < end_s:
            if eye.pump() < 50:
                eye.count(2, 1)
            if (now_s := time.monotonic()) >= turn_s:
                turn_s = now_s + 2.5
                network.end_connections()
            time.sleep(0.05)
        network.calm = True
        network.end_connections()
        eye.deliver()

        def done() -> bool:
            with consumer.lock:
                return consumer.sums(BRANCH) == {"door": [eye.entered, eye.left]} and not [*consumer.gaps(BRANCH)]

        wait_for(lambda: network.connections[Fault.NONE] and ear.messages("counts"), "a calm connection", 90)
        assert link.stop() == 0
        link.start()
        wait_for(done, "the truth", 90)
    numbers = [m["record"] for m in ear.messages("counts")]
    twice = len(numbers) - len(set(numbers))
    told = ", ".join(f"{n} {fault}" for fault, n in network.connections.items())
    print(f"connections: {told}; {len(set(numbers))} records, {twice} twice")  # noqa: T201 # the figures of the storm
    assert sum(n > 0 for n in network.connections.values()) >= 3
    assert "Traceback" not in link.log()
