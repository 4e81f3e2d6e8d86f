# SPDX-License-Identifier: Apache-2.0
"""The cheapest way to pair rows with columns, exactly, without scipy. Pure.

Shortest augmenting paths (Jonker and Volgenant 1987). Most frames are easy: where every row's cheapest column is
different, those minima are the optimum and no path is searched. Only rows that compete cost more.
"""

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
    # A column of its own for each row stands for "alone", so that a full assignment always exists.
    padded = np.full((n, m + n), np.inf)
    padded[:, :m] = np.where(cost < alone, cost, np.inf)
    padded[np.arange(n), m + np.arange(n)] = alone
    column = _columns(padded)
    rows = np.flatnonzero(column < m)
    return rows, column[rows]


def _columns(cost: Floats) -> Ints:
    """For each row its column in the cheapest full assignment."""
    n, m = cost.shape
    nearest = cost.argmin(axis=1)
    owner = np.full(m, -1, np.int64)
    waiting = []
    for row, col in enumerate(nearest.tolist()):
        if owner[col] < 0:
            owner[col] = row
        else:
            waiting.append(row)
    price_row, price_col = cost[np.arange(n), nearest], np.zeros(m)
    for row in waiting:
        _augment(cost, row, owner, price_row, price_col)
    column = np.empty(n, np.int64)
    taken = np.flatnonzero(owner >= 0)
    column[owner[taken]] = taken
    return column


def _augment(cost: Floats, start: int, owner: Ints, price_row: Floats, price_col: Floats) -> None:
    """Gives row `start` a column along the shortest path of reassignments (Dijkstra on reduced costs), in place."""
    m = cost.shape[1]
    distance, came_from = np.full(m, np.inf), np.full(m, -1, np.int64)
    done = np.zeros(m, np.bool_)
    path: list[tuple[int, float]] = []  # rows reached, and how far away they are
    row, so_far = start, 0.0
    while True:
        path.append((row, so_far))
        reach = so_far + cost[row] - price_row[row] - price_col
        closer = ~done & (reach < distance)
        distance[closer], came_from[closer] = reach[closer], row
        col = int(np.where(done, np.inf, distance).argmin())
        so_far = float(distance[col])
        done[col] = True
        if owner[col] < 0:
            break
        row = int(owner[col])
    for reached, near in path:
        price_row[reached] += so_far - near
    price_col[done] += distance[done] - so_far
    while col >= 0:
        row = int(came_from[col])
        owned = np.flatnonzero(owner == row)
        owner[col] = row
        col = int(owned[0]) if row != start else -1
