"""The cheapest path is what trying all paths finds."""

from __future__ import annotations

from itertools import product

import numpy as np

from engines.face.paths import cheapest_path


def test_it_is_the_best_of_all_paths() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        cost, turns = random.normal(size=(4, 5)), random.normal(size=(5, 4, 4))

        def price(path: tuple[int, ...] | np.ndarray, cost: np.ndarray = cost, turns: np.ndarray = turns) -> float:
            there = sum(cost[row, k] for k, row in enumerate(path))
            return float(there + sum(turns[k][path[k], path[k - 1]] for k in range(1, len(path))))

        found = cheapest_path(cost, lambda k, turns=turns: turns[k])
        assert np.isclose(price(found), min(price(path) for path in product(range(4), repeat=5)))
