"""Whether two photos may show one person, from landmarks alone: a hint, no proof (train/face/likeness.py).

Eyes, brows, nose and the face's outline above the mouth, head pose removed. Directions in which one person's photos
differ (smile, distance of the camera, turn of the head, the landmarks' own error) count little, those in which people
differ count much: linear discriminant analysis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engines.card import read_arrays

MODEL = "likeness"
MOST_TURNED_RAD = 0.26  # farther away from the camera the landmarks' error grows beyond what was taught


@dataclass(frozen=True)
class LikenessModel:
    """A linear map from landmarks to a space in which one person's photos lie within `limit`."""

    points: np.ndarray  # (P,) which points it looks at
    map: np.ndarray  # (2 P, K)
    limit: float  # the largest distance between two photos of one person among those it was taught on

    def place(self, aligned: np.ndarray) -> np.ndarray:
        """Where faces lie: (..., 478, 3) eye distances -> (..., K)."""
        seen = aligned[..., self.points, :2]
        return seen.reshape(*seen.shape[:-2], -1) @ self.map

    def apart(self, one: np.ndarray, other: np.ndarray) -> float:
        """Distance of two faces as a share of `limit`: above 1 they are hardly of one person."""
        return float(np.linalg.norm(self.place(one) - self.place(other))) / self.limit


@lru_cache(maxsize=1)
def likeness_model() -> LikenessModel:
    """The shipped model; EngineMismatch where its file is missing or damaged."""
    stored = read_arrays(MODEL, "points", "map", "limit")
    return LikenessModel(stored["points"].astype(np.int64), stored["map"].astype(np.float32), float(stored["limit"]))
