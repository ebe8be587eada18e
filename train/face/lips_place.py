"""How much of the lips' distance is their place, and not their shape: what no sound can mend.

A talker's lips stand higher or lower in one sentence than the photo has them, whatever they say: the jaw rests deeper,
the head was held otherwise. So these are the distances that lips of the true shape would have at every moment, were
their place (the mean of their points) told by what is known. The least that a face by sound could reach, if sound told
the shape without a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from train.data.corpora import Clip
from train.data.motion_labels import silent_pictures
from train.face.face_score import LIPS, align, first_shut, true_codes

RIDGE = 1e-4  # of a shape's squares, eye distances
LEAST_CLIPS = 5  # of a talker who teaches: all count alike

AS_PHOTO = "true shape, in the photo's place"
AS_OTHERS = "true shape, in the place where training talkers have such a shape"
MEAN_KNOWN = "the same, and this clip's mean place known"


def lips_ways(landmarks: np.ndarray, among: np.ndarray | None = None) -> np.ndarray | None:
    """How far the lips are from the clip's first shut mouth, (T, 40, 2) eye distances, pose removed.

    landmarks (T, 478, 3) px; among (T,): pictures whose mouth may be that one, else each may. None where no mouth is
    shut or a face is missing.
    """
    if not np.isfinite(landmarks).all():
        return None
    first = first_shut(true_codes(landmarks), among)
    if first is None:
        return None
    lips = align(landmarks)[:, list(LIPS), :2]
    ways: np.ndarray = lips - lips[first]
    return ways


def ways_of(files: Iterable[Path], silent: Mapping[str, Clip] | None = None) -> list[np.ndarray]:
    """The ways of each clip of cached landmarks that has some; files: TALKER/CLIP.npy.

    silent: clips by TALKER/CLIP; with it the first shut mouth is one of somebody silent.
    """
    found = []
    for path in files:
        landmarks = np.load(path, allow_pickle=False).astype(np.float32)
        among = None
        if silent is not None:
            among = silent_pictures(silent[f"{path.parent.name}/{path.stem}"], len(landmarks))
        found.append(lips_ways(landmarks, among))
    return [ways for ways in found if ways is not None]


def read_ways(
    folder: Path, but: Sequence[str] = (), least_clips: int = LEAST_CLIPS, silent: Mapping[str, Clip] | None = None
) -> dict[str, list[np.ndarray]]:
    """Talker -> the ways of each of their clips; folder: of cached landmarks, a folder a talker.

    but: talkers who are left out, as are those with fewer clips. silent: as `ways_of` takes it.
    """
    found: dict[str, list[np.ndarray]] = {}
    for talker in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in but):
        ways = ways_of(sorted(talker.glob("*.npy")), silent)
        if len(ways) >= least_clips:
            found[talker.name] = ways
    return found


def place_and_shape(ways: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ways (T, 40, 2) -> the way of the lips' mean (T, 2), and of the shape about it (T, 80)."""
    place = ways.mean(1)
    return place, (ways - place[:, None]).reshape(len(ways), -1)


def place_by_shape(talkers: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """Weights (80, 2): where talkers have their lips, by the lips' shape. Each talker counts alike."""
    products, targets = np.zeros((80, 80)), np.zeros((80, 2))
    for ways in talkers.values():
        place, shape = place_and_shape(np.concatenate(ways))
        products += shape.T @ shape / len(shape)
        targets += shape.T @ place / len(shape)
    weights: np.ndarray = np.linalg.solve(products / len(talkers) + RIDGE * np.eye(80), targets / len(talkers))
    return weights


def shares_left(clips: Iterable[np.ndarray], weights: np.ndarray) -> dict[str, float]:
    """Distance that is left to lips of the true shape, as a share of the distance of lips that stay; by what is known.

    clips: ways (T, 40, 2) each; weights: of `place_by_shape`.
    """
    sums = dict.fromkeys((AS_PHOTO, AS_OTHERS, MEAN_KNOWN), 0.0)
    static = 0.0
    for ways in clips:
        place, shape = place_and_shape(ways)
        apart = place - shape @ weights
        static += float(np.linalg.norm(ways, axis=-1).mean(-1).sum())
        for name, left in ((AS_PHOTO, place), (AS_OTHERS, apart), (MEAN_KNOWN, apart - apart.mean(0))):
            sums[name] += float(np.linalg.norm(left, axis=-1).sum())
    return {name: total / static for name, total in sums.items()}
