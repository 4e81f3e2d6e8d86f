# SPDX-License-Identifier: Apache-2.0
"""Tries the broker once, as link would, without taking link's place there."""

import time

from nigiwai.errors import BrokerError
from nigiwai.link.mqtt.connection import Address, Connected, Connection, Lost, Will
from nigiwai.link.topics import Topics
from nigiwai.settings import Settings

_PATIENCE_S = 8.0


def reach_broker(settings: Settings) -> str:
    """What to say of the broker once it has accepted us. Raises BrokerError that says why it has not."""
    mqtt = settings.mqtt
    address = Address(mqtt.host, mqtt.port)
    topics = Topics(settings.device.site, settings.device.name)
    # Another client id than link's, and a will nobody listens to: a running link must not notice.
    connection = Connection(address, mqtt, f"{settings.device.name}-check", Will(topics.of("check"), b""))
    try:
        _wait_until_connected(connection, address)
    finally:
        connection.close()
    return f"{address} accepts us, MQTT {mqtt.version}, {'TLS' if mqtt.ca_file else 'without TLS'}"


def _wait_until_connected(connection: Connection, address: Address) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (left_s := deadline - time.monotonic()) > 0:
        connection.wait(left_s)
        for happening in connection.happenings():
            if isinstance(happening, Connected):
                return
            if isinstance(happening, Lost):
                raise _refused(address, happening)
    raise BrokerError(f"mqtt.host = {address.host!r}, mqtt.port = {address.port}: no answer within {_PATIENCE_S:g} s")


def _refused(address: Address, lost: Lost) -> BrokerError:
    where = f"mqtt.host = {address.host!r}, mqtt.port = {address.port}"
    if lost.refused:
        return BrokerError(
            f"{where}: the broker refuses us ({lost.why}); check mqtt.username, mqtt.password_file, mqtt.cert_file and"
            " the broker's access rules"
        )
    return BrokerError(
        f"{where}: cannot be reached ({lost.why}); check the address, the cable or Wi-Fi, and that the broker runs."
        " Counting goes on meanwhile and nothing is lost"
    )
