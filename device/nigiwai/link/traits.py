# SPDX-License-Identifier: Apache-2.0
"""Tables of who came as messages: blocks in words, and shares corrected for known errors. Pure but for the ledger.

Only the blocks enter: what is corrected tells nothing that the blocks did not.
"""

from collections.abc import Sequence
from typing import Literal

from nigiwai.door.traits import FAMILY, Band, Company, Sex, mask_of, values_of
from nigiwai.link.auditing import AUDIT, confusion_of
from nigiwai.link.correction import Confusion, corrected, noise_variance
from nigiwai.link.known_errors import known_errors
from nigiwai.link.ledger import Ledger
from nigiwai.link.messages import Envelope, Estimate, TraitBlock, Traits
from nigiwai.link.store.hand import Noted
from nigiwai.link.store.traits import StoredTable
from nigiwai.link.zone import load_zone, stamp
from nigiwai.settings import Settings

Basis = Literal["simulation", "audit"]
_NS_PER_S = 1_000_000_000
_CHILDREN, _FAMILIES = mask_of([Band.CHILD]), mask_of(FAMILY)
_AT_ONCE = 8


def message_of(table: StoredTable, settings: Settings, audited: Noted | None = None) -> Traits:
    """One table as it is sent. audited: what this site's own checks have found about children."""
    found = None if audited is None else confusion_of(audited)
    known = known_errors(settings)
    basis: Basis = "simulation" if found is None else "audit"
    zone = load_zone(settings.ledger.timezone)
    start, end = (None if t is None else stamp(t - t % _NS_PER_S, zone) for t in (table.start_ns, table.end_ns))
    bands, companies = [(b[2], b[3]) for b in table.blocks], [(b[0], b[3]) for b in table.blocks]
    return Traits(
        site=settings.device.site,
        device=settings.device.name,
        epoch=table.epoch,
        table=table.number,
        direction="in" if table.direction == "in" else "out",
        start=start,
        end=end,
        k=table.k,
        people=table.people,
        withheld=not table.blocks,
        blocks=tuple(_in_words(*block) for block in table.blocks),
        experimental=settings.traits.experimental,
        epsilon=table.epsilon,
        children=_estimate(bands, _CHILDREN, found or known.child, basis, table.epsilon),
        families=_estimate(companies, _FAMILIES, known.family, "simulation", table.epsilon),
    )


def _in_words(companies: int, sexes: int, bands: int, people: int) -> TraitBlock:
    return TraitBlock(
        company=values_of(Company, companies),
        sex=values_of(Sex, sexes),
        band=values_of(Band, bands),
        people=people,
    )


def _estimate(
    blocks: Sequence[tuple[int, int]], wanted: int, confusion: Confusion, basis: Basis, epsilon: float | None
) -> Estimate | None:
    """None where some block holds both sorts of people, so that nobody can say how many there were."""
    if not blocks or any(mask & wanted and mask & ~wanted for mask, _ in blocks):
        return None
    said, people = sum(n for mask, n in blocks if mask & wanted), sum(n for _, n in blocks)
    noise = 0.0 if epsilon is None else sum(bool(mask & wanted) for mask, _ in blocks) * noise_variance(epsilon)
    found = corrected(said, people, confusion, noise)
    if found is None:
        return None
    share, low, high = (round(x, 4) for x in (found.middle, found.low, found.high))
    return Estimate(said=said, share=share, low=low, high=high, basis=basis)


class TableOutbox:
    """The ledger's tables that the broker has not taken."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger

    def pending(self) -> list[tuple[int, Envelope]]:
        """The oldest few, with their numbers."""
        tables = self._ledger.pending_tables(_AT_ONCE)
        audited = self._ledger.latest_hand(AUDIT) if tables else None
        return [(t.number, message_of(t, self._settings, audited)) for t in tables]

    def acknowledge(self, numbers: Sequence[int], now_ns: int) -> None:
        """The broker took these."""
        self._ledger.acknowledge_tables(numbers, now_ns)
