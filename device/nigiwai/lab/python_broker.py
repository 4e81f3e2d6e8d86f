# SPDX-License-Identifier: Apache-2.0
"""amqtt as a process: `python -m nigiwai.lab.python_broker PORT` serves MQTT 3.1.1 on the loopback until ended."""

import asyncio
import logging
import signal
import sys

from amqtt.broker import Broker

_PLUGIN = "amqtt.plugins.authentication.AnonymousAuthPlugin"


async def serve(port: int) -> None:
    """Runs the broker until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {_PLUGIN: {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(serve(int(sys.argv[1])))
