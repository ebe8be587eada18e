"""Ways from none to whole: straight, of numbers and of arrays. (Smooth ones: `ease`, engines/drawing/geometry.py.)"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def share_of(value: float, none: float, whole: float) -> float:
    """How far the value is on the way from `none` to `whole`, 0..1."""
    return min(1.0, max(0.0, (value - none) / (whole - none)))


def shares_of(values: np.ndarray | float, none: float, whole: float) -> np.ndarray:
    """`share_of` of each of the values."""
    return np.clip((values - none) / (whole - none), 0, 1)
