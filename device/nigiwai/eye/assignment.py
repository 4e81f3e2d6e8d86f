# SPDX-License-Identifier: Apache-2.0
"""The cheapest way to pair rows with columns, exactly, without scipy. Pure.

Shortest augmenting paths (Jonker and Volgenant 1987). Most frames are easy: where every row's cheapest column is
different, those minima are the optimum and no path is searched. Only rows that compete cost more; their paths are two
or three steps over the few columns that each may have, for which plain Python is faster than arrays.
"""

from math import inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def assign(cost: Floats, alone: float) -> tuple[Ints, Ints]:
    """Rows and columns that belong together, for the least total of `cost` (N, M); staying alone costs `alone` a row.

    Entries of `alone` or more (also inf) are never paired. Either side may be empty.
    """
    n, m = cost.shape
    if n == 0 or m == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    nearest = cost.argmin(axis=1)
    least = cost[np.arange(n), nearest]
    rows = np.flatnonzero(least < alone)
    columns = nearest[rows]
    if len(rows) < 2 or np.bincount(columns).max() == 1:
        return rows, columns
    return _Contest(cost, least, alone).settle(rows, columns)


class _Contest:
    """Rows that want the same columns. A column of its own for each row, -1 - row, stands for "alone"."""

    def __init__(self, cost: Floats, least: Floats, alone: float) -> None:
        self._cost, self._alone = cost, alone
        self._owner: dict[int, int] = {}
        self._offers: dict[int, list[tuple[int, float]]] = {}
        self._price_row, self._price_column = least.tolist(), dict[int, float]()

    def settle(self, rows: Ints, columns: Ints) -> tuple[Ints, Ints]:
        """The best pairing, given each row's cheapest column."""
        waiting = [r for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if self._owner.setdefault(c, r) != r]
        for row in waiting:
            self._augment(row)
        pairs = sorted((row, column) for column, row in self._owner.items() if column >= 0)
        return np.array([row for row, _ in pairs]), np.array([column for _, column in pairs])

    def _offers_to(self, row: int) -> list[tuple[int, float]]:
        """The columns that a row may have, and their costs."""
        if row not in self._offers:
            costs = self._cost[row]
            possible = np.flatnonzero(costs < self._alone)
            offers = zip(possible.tolist(), costs[possible].tolist(), strict=True)
            self._offers[row] = [*offers, (-1 - row, self._alone)]
        return self._offers[row]

    def _augment(self, start: int) -> None:
        """Gives row `start` a column along the shortest path of reassignments (Dijkstra on reduced costs)."""
        distance: dict[int, float] = {}
        came_from: dict[int, int] = {}
        done: dict[int, float] = {}  # columns reached for good, and how far away they are
        path: list[tuple[int, float]] = []  # rows reached, and how far away they are
        row, so_far = start, 0.0
        while True:
            path.append((row, so_far))
            for column, cost in self._offers_to(row):
                reach = so_far + cost - self._price_row[row] - self._price_column.get(column, 0.0)
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
