"""The cheapest path across a strip of a picture, by which lips' and teeth's edges are followed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def cheapest_path(cost: np.ndarray, turns: Callable[[int], np.ndarray]) -> np.ndarray:
    """One row for each column of `cost` (rows, columns), the sum of costs and turns least: (columns,) int.

    turns(k): what it costs to come to each row (first axis) of column k from each row of the one before, (rows, rows).
    Dynamic programming (Viterbi 1967).
    """
    total = cost[:, 0].astype(np.float64)
    back = np.zeros(cost.shape, int)
    for k in range(1, cost.shape[1]):
        options = total[None] + turns(k)
        back[:, k] = options.argmin(1)
        total = cost[:, k] + options.min(1)
    path = np.empty(cost.shape[1], int)
    at = int(total.argmin())
    for k in range(cost.shape[1] - 1, -1, -1):
        path[k], at = at, back[at, k]
    return path
