"""Bounds of motion codes: how far each channel may go, by its name."""

from __future__ import annotations

import numpy as np

from engines.spec import MOTION_CHANNELS


def bounds(low: float, high: float, **own: tuple[float, float]) -> np.ndarray:
    """Least and most of each of MOTION_CHANNELS in its unit, (2, 26) float64: `low` and `high`, or its own by name."""
    unknown = set(own) - set(MOTION_CHANNELS)
    if unknown:
        raise ValueError(f"no motion channels: {sorted(unknown)}")
    return np.array([own.get(name, (low, high)) for name in MOTION_CHANNELS], float).T.copy()
