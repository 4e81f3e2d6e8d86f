# SPDX-License-Identifier: Apache-2.0
"""Hands detections to tracks in several rounds, each over what the ones before left over.

Plain Python over the pairs that a round allows, of which each track has one or two.
"""

from collections.abc import Iterable, Sequence

from nigiwai.eye.assignment import assign
from nigiwai.eye.association import Fit
from nigiwai.eye.motion import Bools


class Pairing:
    """Who has been paired so far: each track and each detection at most once."""

    def __init__(self, found: Fit, alone: float) -> None:
        """alone: the cost of leaving a track without a detection."""
        self._found, self._alone = found, alone
        self._rows, self._columns = found.row.tolist(), found.column.tolist()
        self._rows_taken: set[int] = set()
        self.taken: set[int] = set()
        """The detections that somebody took."""
        self.chosen: list[int] = []
        """The pairs of the fit that were taken, as indices."""

    def pair(self, possible: Bools) -> None:
        """Takes the best of the pairs that are `possible` (K,) and of which both are still free."""
        which = self._free(possible.nonzero()[0].tolist())
        self._take(which, self._found.cost[which].tolist() if which else ())

    def pair_overlapping(self, columns: Iterable[int], least: float) -> None:
        """Takes the best pairs of a free track and a free detection of `columns` that overlap by `least` or more.

        The last resort for a track and a detection that both found nothing better: a box that jumps in size rather
        begins no second track on one person.
        """
        left = set(columns) - self.taken
        if not left:
            return
        which = self._free([k for k, column in enumerate(self._columns) if column in left])
        if which:
            shared = self._found.overlap(which)
            enough = (shared >= least).nonzero()[0]
            self._take([which[k] for k in enough.tolist()], (1.0 - shared[enough]).tolist())

    def _free(self, which: Sequence[int]) -> list[int]:
        rows, columns = self._rows, self._columns
        return [k for k in which if rows[k] not in self._rows_taken and columns[k] not in self.taken]

    def _take(self, which: Sequence[int], price: Sequence[float]) -> None:
        rows, columns = [self._rows[k] for k in which], [self._columns[k] for k in which]
        for k in assign(rows, columns, price, self._alone):
            self.chosen.append(which[k])
            self._rows_taken.add(rows[k])
            self.taken.add(columns[k])
