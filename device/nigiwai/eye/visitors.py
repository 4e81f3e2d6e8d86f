# SPDX-License-Identifier: Apache-2.0
"""Who came, as a part of the service: the rim around traits.py, with the door and what outlives a restart."""

import logging
from collections.abc import Sequence

from nigiwai.clock import BootNs
from nigiwai.door.caller import Caller
from nigiwai.door.tables import TraitTable
from nigiwai.door.traits import Band
from nigiwai.eye.assemble import open_trait_model
from nigiwai.eye.keepsake import Keepsake, open_keepsake
from nigiwai.eye.orders import Orders
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.traits import Traits, ground_of
from nigiwai.eye.types import Crossing, Frame
from nigiwai.settings import Settings

log = logging.getLogger(__name__)


class Visitors:
    """Who came: traits after the counting of each frame, tables to the door, what must outlive a restart kept."""

    def __init__(self, traits: Traits, caller: Caller, kept: Keepsake) -> None:
        self._traits, self._caller, self._kept = traits, caller, kept
        self._state: tuple[int, tuple[TraitTable, ...]] | None = None
        for table in traits.left_over:
            caller.add_table(table)

    def see(self, pipeline: Pipeline, crossings: Sequence[Crossing], frame: Frame, *, looked: bool) -> None:
        """Takes one frame's results; `looked`: the detector saw it."""
        if looked:
            size = (frame.width, frame.height)
            self._keep(self._traits.see(pipeline.tracks, crossings, pipeline.passers, size, frame.at, frame.image))
        else:
            self.tick(frame.at)

    def tell(self, orders: Orders) -> None:
        """Says of the passages that the last call settled whether they were children: to a check, inside eye."""
        for passage in self._traits.settled:
            orders.settled(passage.crossing, child=passage.person.band is Band.CHILD)
        self._traits.settled = []

    def tick(self, now: BootNs) -> None:
        """Lets time pass."""
        self._keep(self._traits.tick(now))

    def pause(self, now: BootNs) -> None:
        """The run is over, the event is not."""
        self._keep(self._traits.pause(now))

    def end(self, now: BootNs) -> None:
        """The event is over."""
        self._keep(self._traits.end(now))

    def _keep(self, tables: Sequence[TraitTable]) -> None:
        for table in tables:
            self._caller.add_table(table)
        state = self._traits.revision, self._caller.tables
        if state != self._state:
            self._state = state
            self._kept.write(self._traits.state(self._caller.tables))


def maybe_visitors(settings: Settings, caller: Caller) -> Visitors | None:
    """None where traits are switched off, or the view was not measured, which is logged once.

    Raises ModelError where the trait model is not what the manifest says, SettingsError where noise cannot be drawn.
    """
    ground = ground_of(settings)
    if ground is None:
        if settings.traits.enabled:
            log.info(
                "nobody's age or company is estimated: set [view] height_m, tilt_deg and fov_deg to measure heights"
            )
        return None
    model, kept = open_trait_model(settings), open_keepsake()
    asked = settings.traits
    traits = Traits(caller.run, asked.k, ground, kept.content, model, asked.experimental, asked.epsilon)
    return Visitors(traits, caller, kept)
