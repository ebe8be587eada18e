"""The way from a smiling or open mouth to rest, learned from pairs of photos (train/face/unsmile.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engines.card import read_arrays
from engines.face_points import INNER_LIPS, OUTER_LIPS

MODEL = "unsmile"
LIPS = list(dict.fromkeys(OUTER_LIPS + INNER_LIPS))
# Mean shift of the lips, eye distances. Three in four faces at rest are given less than 0.018, three in four smiles
# more than 0.034: between the two it fades in.
NO_SHIFT, FULL_SHIFT = 0.015, 0.030
# A turned head's landmarks err by what looks like a smile (up to .048 in shut rendered mouths turned by .26 rad): both
# grow by so much for each rad beyond the first tenth.
TURNED_SLACK, TURNED_FREE_RAD = 0.20, 0.10


@dataclass(frozen=True)
class RestModel:
    """A linear map from the lower face's shape to displacements of all points."""

    points: np.ndarray  # (P,) which points it looks at
    mean: np.ndarray  # (3 P,) their mean, eye distances
    components: np.ndarray  # (K, 3 P)
    map: np.ndarray  # (K + 1, 478 * 3), the last row is the constant

    def shift(self, aligned: np.ndarray, turned_rad: float = 0.0) -> np.ndarray:
        """Displacement that brings a face to rest, (478, 3) -> (478, 3) float32; 0 for a face at rest."""
        scores = (aligned[self.points].reshape(-1) - self.mean) @ self.components.T
        shift = (scores @ self.map[:-1] + self.map[-1]).reshape(aligned.shape)
        size = float(np.linalg.norm(shift[LIPS, :2], axis=1).mean())
        slack = TURNED_SLACK * max(0.0, turned_rad - TURNED_FREE_RAD)
        share = np.clip((size - slack - NO_SHIFT) / (FULL_SHIFT - NO_SHIFT), 0, 1)
        return (shift * (share * share * (3 - 2 * share))).astype(np.float32)


@lru_cache(maxsize=1)
def rest_model() -> RestModel:
    """The shipped model; EngineMismatch where its file is missing or damaged."""
    stored = read_arrays(MODEL, "points", "mean", "components", "map")
    points = stored.pop("points").astype(np.int64)
    return RestModel(points, **{name: array.astype(np.float32) for name, array in stored.items()})


def rest_shift(aligned: np.ndarray, turned_rad: float = 0.0) -> np.ndarray:
    """Displacement of all points, eye distances, that brings a face to rest; 0 for one that is at rest.

    aligned (478, 3): landmarks with head pose removed (engines.face.measure.remove_pose). turned_rad: how far the head
    looks away from the camera. Lips may still stand a hair apart afterwards: it is the mean way, not this person's
    seam.
    """
    return rest_model().shift(aligned, turned_rad)
