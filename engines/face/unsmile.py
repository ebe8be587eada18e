"""The way from a smiling or open mouth to rest, learned from pairs of photos (train/face/unsmile.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engines.card import read_arrays
from engines.drawing.geometry import ease
from engines.face_points import CORNERS, INNER_LIPS, OUTER_LIPS
from engines.ramps import shares_of

MODEL = "unsmile"
LIPS = list(dict.fromkeys(OUTER_LIPS + INNER_LIPS))
# Mean shift of the lips, eye distances. Three in four faces at rest are given less than 0.018, three in four smiles
# more than 0.034: between the two it fades in.
NO_SHIFT, FULL_SHIFT = 0.015, 0.030
# A turned head's landmarks err by what looks like a smile (up to .048 in shut rendered mouths turned by .26 rad): both
# grow by so much for each rad beyond the first tenth.
TURNED_SLACK, TURNED_FREE_RAD = 0.20, 0.10
# A laugh broader than all that it learned from (82 people's lips go .130 at most), a turned one (none by more than .24
# rad) and a bearded one tear skin and hair on the whole way: they rest at a shut half smile. From where to where that
# sets in, and how far lips go then at most; mean of the lips, eye distances; rad.
BROAD, BROAD_GOES = (0.126, 0.146), 0.090
TURNED_RAD, TURNED_GOES = (0.26, 0.45), 0.055
BEARDED_GOES = 0.065
# How much lower one corner lies than the other at rest, eye distances: a lopsided smile's corners keep their difference
# on the mean way, up to .06. Neutral faces differ by .012 (median of 82), and by less than their smiles do: brought to
# rest by this law they are off their own neutral photo's by .0084 (.0095 without) and, people of odd numbers, .0102
# (.0107). How far beside the lips the flesh follows.
CROOKED, BESIDE_LIPS = 0.02, 0.25


@dataclass(frozen=True)
class RestModel:
    """A linear map from the lower face's shape to displacements of all points."""

    points: np.ndarray  # (P,) which points it looks at
    mean: np.ndarray  # (3 P,) their mean, eye distances
    components: np.ndarray  # (K, 3 P)
    map: np.ndarray  # (K + 1, 478 * 3), the last row is the constant

    def shift(self, aligned: np.ndarray, turned_rad: float = 0.0, bearded: float = 0.0) -> np.ndarray:
        """Displacement that brings a face to rest, (478, 3) -> (478, 3) float32; 0 for a face at rest."""
        scores = (aligned[self.points].reshape(-1) - self.mean) @ self.components.T
        shift = (scores @ self.map[:-1] + self.map[-1]).reshape(aligned.shape)
        size = float(np.linalg.norm(shift[LIPS, :2], axis=1).mean())
        slack = TURNED_SLACK * max(0.0, turned_rad - TURNED_FREE_RAD)
        share = np.clip((size - slack - NO_SHIFT) / (FULL_SHIFT - NO_SHIFT), 0, 1)
        smiles = float(ease(share))
        shift *= smiles * share_of_way(size, turned_rad, bearded)
        return (shift + smiles * level_corners(aligned + shift)).astype(np.float32)


def share_of_way(size: float, turned_rad: float, bearded: float = 0.0) -> float:
    """How much of the way to rest a mouth goes: all, or less where skin and hair would tear; 0..1.

    size: how far its lips would go, eye distances; turned_rad: how far the head looks away; bearded: 0..1.
    """
    held = (
        (BROAD_GOES, ease(shares_of(size, *BROAD))),
        (TURNED_GOES, ease(shares_of(turned_rad, *TURNED_RAD))),
        (BEARDED_GOES, bearded),
    )
    return min(1 - float(share) * (1 - goes / max(size, goes)) for goes, share in held)


def level_corners(rested: np.ndarray) -> np.ndarray:
    """What brings the corners of a mouth at rest (478, 3) nearly to one height, (478, 3): a turn about its middle."""
    right, left = rested[CORNERS[0]], rested[CORNERS[1]]
    lower = float(right[1] - left[1])
    way = CROOKED * np.tanh(lower / CROOKED) - lower
    half = max(float(left[0] - right[0]) / 2, 1e-3)
    lips = rested[LIPS, :2]
    aside = np.maximum(0.0, np.abs(rested[:, 0] - (right[0] + left[0]) / 2) - half)
    above = np.maximum(0.0, lips[:, 1].min() - rested[:, 1]) + np.maximum(0.0, rested[:, 1] - lips[:, 1].max())
    near = np.exp(-(aside**2 + above**2) / BESIDE_LIPS**2)
    turn = np.clip((rested[:, 0] - (right[0] + left[0]) / 2) / half, -1, 1)
    shift = np.zeros_like(rested)
    shift[:, 1] = -way / 2 * turn * near
    return shift


@lru_cache(maxsize=1)
def rest_model() -> RestModel:
    """The shipped model; EngineMismatch where its file is missing or damaged."""
    stored = read_arrays(MODEL, "points", "mean", "components", "map")
    points = stored.pop("points").astype(np.int64)
    return RestModel(points, **{name: array.astype(np.float32) for name, array in stored.items()})


def rest_shift(aligned: np.ndarray, turned_rad: float = 0.0, bearded: float = 0.0) -> np.ndarray:
    """Displacement of all points, eye distances, that brings a face to rest; 0 for one that is at rest.

    aligned (478, 3): landmarks with head pose removed (engines.face.measure.remove_pose). turned_rad: how far the head
    looks away from the camera; bearded: 0..1 (engines.face.unfold.moustache). Lips may stand apart afterwards: it is
    the mean way, not this person's seam, and a broad laugh goes a part of it.
    """
    return rest_model().shift(aligned, turned_rad, bearded)
