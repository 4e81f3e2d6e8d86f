# SPDX-License-Identifier: Apache-2.0
"""Tells Home Assistant about the device, and takes back what it was told: the device, or gates that are no more."""

from collections.abc import Collection, Sequence
from typing import Protocol

from nigiwai.link.mqtt.discovery import discovery, discovery_topic
from nigiwai.link.topics import Topics
from nigiwai.settings import Settings

_ANNOUNCED = "home-assistant"
"""The note that says under which topic the device was announced; empty if it is not."""


class Notes(Protocol):
    """What is needed of the ledger."""

    def read_note(self, key: str) -> str | None:
        """What was last noted under `key`."""
        ...

    def write_note(self, key: str, value: str) -> None:
        """Notes `value` under `key`."""
        ...


class Keeps(Protocol):
    """What is needed of the publisher."""

    def keep_at(self, topic: str, payload: bytes) -> None:
        """Retains `payload` anywhere in the broker's tree; an empty one removes what was there."""
        ...


def announce(
    settings: Settings, notes: Notes, publisher: Keeps, gates: Sequence[str], known: Collection[str] = ()
) -> None:
    """Announces the device with these gates where the settings say so, and removes it where they say so no longer.

    `known` are the gates of now and before: those that are no more go from Home Assistant too. Raises LedgerError.
    """
    topics = Topics(settings.device.site, settings.device.name)
    before = notes.read_note(_ANNOUNCED)
    wanted = discovery_topic(topics) if settings.mqtt.home_assistant else ""
    if before and before != wanted:
        publisher.keep_at(before, b"")
    if wanted:
        gone = tuple(sorted(set(known) - set(gates)))
        publisher.keep_at(wanted, discovery(topics, tuple(gates), gone))
        if before != wanted:
            notes.write_note(_ANNOUNCED, wanted)
