# SPDX-License-Identifier: Apache-2.0
"""Names of gates that may be stored and sent: those that were ever configured. Pure.

An eye that was taken over could otherwise write text into the names of its bins and have it published.
"""

from collections.abc import Collection

from nigiwai.door.records import Bin

UNKNOWN_GATE = "unknown"
"""What is counted at a gate of any other name: after eye was started with other settings than link."""


def known_only(counted: Bin, names: Collection[str]) -> Bin:
    """The bin with every passage, under names that are known."""
    if all(g.gate in names for g in counted.gates):
        return counted
    gates = tuple(g if g.gate in names else g.model_copy(update={"gate": UNKNOWN_GATE}) for g in counted.gates)
    return counted.model_copy(update={"gates": gates})
