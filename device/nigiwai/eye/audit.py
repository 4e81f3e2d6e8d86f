# SPDX-License-Identifier: Apache-2.0
"""How often eye is right about children, by staff's taps: told in batches that single nobody out. Pure.

Staff tap child or other; eye has said child of the same passage or not. What is wanted is how often it says so of
children and of others. But `2 of 12 children were not recognised` is a cell of two people. So a batch is one or more
whole checks; it is told only once it holds k children and k others by staff's word, and of those who were said to be
children it tells how many k of them there are, rounded down: 27 of 31 is told as "20 to 29". Each number of people that
can be worked out from that, also with the help of the tables, may then be 0, or at least k, as far as anybody can tell:
it is known only to lie somewhere within k. Batches have nobody in common, so none can be subtracted from the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nigiwai.door.field import Audited

Answer = tuple[bool, bool]
"""Of one passage: whether staff say that it was a child, and whether eye had said so (unknown counts as no)."""


@dataclass
class Audit:
    """The answers that were not told yet."""

    k: int
    _answers: list[Answer] = field(default_factory=list)

    def add(self, answers: Iterable[Answer]) -> Audited | None:
        """Takes the answers of a check that is over; returns the batch where it may be told, and begins anew."""
        self._answers += answers
        of = {child: [said for truth, said in self._answers if truth is child] for child in (True, False)}
        if min(len(of[True]), len(of[False])) < self.k:
            return None
        self._answers = []
        return Audited(
            k=self.k,
            children=len(of[True]),
            children_said=sum(of[True]) // self.k,
            others=len(of[False]),
            others_said=sum(of[False]) // self.k,
        )
