# SPDX-License-Identifier: Apache-2.0
"""The cheapest way to pair rows with columns, exactly, without scipy. Pure.

Shortest augmenting paths (Jonker and Volgenant 1987). Most frames are easy: where every row's cheapest column is
different, those minima are the optimum and no path is searched. Only rows that compete cost more; their paths are two
or three steps over the few columns that each may have. All of it is plain Python over the pairs that are possible, one
or two a row: for so few, arrays take longer.
"""

from collections.abc import Sequence
from math import inf

Offer = tuple[float, int, int]
"""What a row may have: cost, column, index of the pair."""


def assign(rows: Sequence[int], columns: Sequence[int], costs: Sequence[float], alone: float) -> list[int]:
    """Indices of the pairs that are taken, for the least total cost; staying alone costs `alone` a row.

    rows, columns, costs: of each possible pair, which comes once. Pairs that cost `alone` or more are never taken.
    """
    offers: dict[int, list[Offer]] = {}
    for k, cost in enumerate(costs):
        if cost < alone:
            offers.setdefault(rows[k], []).append((cost, columns[k], k))
    nearest = {row: min(possible) for row, possible in offers.items()}
    if len({column for _, column, _ in nearest.values()}) == len(nearest):
        return [k for _, _, k in nearest.values()]
    return _Contest(offers, nearest, alone).settle()


class _Contest:
    """Rows that want the same columns. A column of its own for each row, -1 - row, stands for "alone"."""

    def __init__(self, offers: dict[int, list[Offer]], nearest: dict[int, Offer], alone: float) -> None:
        self._nearest, self._alone = nearest, alone
        self._owner: dict[int, int] = {}
        self._offers = offers
        self._price_row = {row: cost for row, (cost, _, _) in nearest.items()}
        self._price_column = dict[int, float]()

    def settle(self) -> list[int]:
        """The pairs of the best pairing."""
        waiting = [row for row, (_, column, _) in self._nearest.items() if self._owner.setdefault(column, row) != row]
        for row in waiting:
            self._augment(row)
        taken = [(row, column) for column, row in self._owner.items() if column >= 0]
        return [k for row, column in taken for _, offered, k in self._offers[row] if offered == column]

    def _augment(self, start: int) -> None:
        """Gives row `start` a column along the shortest path of reassignments (Dijkstra on reduced costs)."""
        distance: dict[int, float] = {}
        came_from: dict[int, int] = {}
        done: dict[int, float] = {}  # columns reached for good, and how far away they are
        path: list[tuple[int, float]] = []  # rows reached, and how far away they are
        row, so_far = start, 0.0
        while True:
            path.append((row, so_far))
            paid = so_far - self._price_row[row]
            for cost, column, _ in (*self._offers[row], (self._alone, -1 - row, -1)):
                reach = paid + cost - self._price_column.get(column, 0.0)
                if column not in done and reach < distance.get(column, inf):
                    distance[column], came_from[column] = reach, row
            column = min(distance, key=distance.__getitem__)
            so_far = done[column] = distance.pop(column)
            if column not in self._owner:
                break
            row = self._owner[column]
        for reached, near in path:
            self._price_row[reached] += so_far - near
        for reached, near in done.items():
            self._price_column[reached] = self._price_column.get(reached, 0.0) + near - so_far
        self._hand_on(column, came_from, start)

    def _hand_on(self, column: int, came_from: dict[int, int], start: int) -> None:
        """Moves the rows of a path on by one column each, backwards from the free one at its end."""
        held = {row: owned for owned, row in self._owner.items()}
        while (row := came_from[column]) != start:
            self._owner[column] = row
            column = held[row]
        self._owner[column] = start
