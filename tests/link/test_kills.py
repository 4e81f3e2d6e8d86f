# SPDX-License-Identifier: Apache-2.0
"""link is killed at random moments, and Mosquitto with it: a consumer that follows the document ends with the truth.

NIGIWAI_PROOF=1 kills a thousand times; NIGIWAI_KILLS sets another number.
"""

import json
import os
import random
import signal
from pathlib import Path

import pytest

from tests.conftest import PROOF
from tests.link.harness import BRANCH, Broker, FakeEye, Link, consuming, wait_for

KILLS = int(os.environ.get("NIGIWAI_KILLS", "1000" if PROOF else "8"))
SEED = int(os.environ.get("NIGIWAI_SEED", "20261123"))


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * KILLS)
def test_kills_lose_and_double_nothing(broker: Broker, link: Link, tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311
    eyes = [FakeEye(link.socket)]
    with consuming(tmp_path, broker.port) as (consumer, ear):
        for _ in range(KILLS):
            link.start()
            eye = eyes[-1]
            what = chance.choice(["link", "link", "link", "link and broker", "broker, then link", "eye too"])
            for _ in range(chance.randint(1, 14)):
                eye.count(chance.randint(0, 3), chance.randint(0, 3))
            eye.deliver(chance.randint(0, 8))
            if what == "broker, then link":
                broker.stop(chance.choice([signal.SIGTERM, signal.SIGKILL]))
            link.stop(signal.SIGKILL)
            if what == "link and broker":
                broker.stop(signal.SIGTERM)
            if "broker" in what:
                broker.start()
                wait_for(ear.client.is_connected, "the consumer to come back")
            if what == "eye too":
                link.start()
                eye.deliver()
                link.stop(signal.SIGKILL)
                eye.close()
                eyes.append(FakeEye(link.socket))
        link.start()
        eyes[-1].count(1, 1)
        eyes[-1].deliver()
        assert link.stop() == 0
        link.start()
        expected = {"door": [sum(e.entered for e in eyes), sum(e.left for e in eyes)]}

        def done() -> bool:
            with consumer.lock:
                return consumer.sums(BRANCH) == expected and not [*consumer.gaps(BRANCH)]

        wait_for(done, f"the consumer to have {expected}, seed {SEED}", 60 + KILLS / 10)
        last = max((json.loads(p) for t, p, _ in ear.heard if t.endswith("/counts")), key=lambda m: m["record"])
        assert last["total"] == {"door": {"in": expected["door"][0], "out": expected["door"][1]}}
    eyes[-1].close()
