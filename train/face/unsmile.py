"""Bring a smiling or open mouth to rest: one linear map from a face's shape to the way back to its own neutral face.

    python -m train.face.unsmile DATA LANDMARKS engines/weights

DATA/faces/london holds a neutral and a smiling photo of each of 82 people; their landmarks are read by our own
landmarker. LANDMARKS/grid/train/TALKER/*.npy, (75, 478, 3) px, adds talkers' open mouths with their own rest. The map
is a ridge regression on principal components of the lower face, head pose removed, both trained with each face's
mirror image. Neutral faces that stay as they are are part of the training, or the map would move every face to the
mean of mouths. Its strength and the weights of the parts were chosen by the score that is printed: people left out in
turn, lips' distance to the own neutral face's as a share of the distance before (2D, eye distances).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, mirror_points, mouth_measures, remove_pose
from engines.face.photo import read_photo
from engines.face.unsmile import LIPS, MODEL, RestModel
from engines.face_points import FACE
from train.face import teeth
from train.npz_export import export_npz

COMPONENTS = 40
RIDGE = 0.01  # of the components' mean variance
FOLDS = 20
OPEN_MOUTH = 0.08  # gap of the inner lips, eye distances, from which a talker's picture counts as open
PICTURES_PER_TALKER, CLOSED_PER_TALKER = 60, 20
LOWER_FACE = 0.45  # points below this (eye distances under the eyes) are looked at
# Weight of one example: a smile, a neutral face that stays, a talker's open mouth, a talker's closed one that stays.
WEIGHTS = {"smile": 1.0, "neutral": 0.3, "open": 0.07, "closed": 0.2}
LICENCES = {
    **teeth.LICENCES,
    "Young Adult White Faces, DeBruine & Jones 2017, doi 10.6084/m9.figshare.4220517.v1": "CC BY 4.0",
    "GRID, Cooke et al. 2006": "CC BY 4.0",
}


@dataclass(frozen=True)
class Examples:
    """Faces with head pose removed, and what brings each to rest; (N, 478, 3) eye distances."""

    faces: np.ndarray
    shifts: np.ndarray
    people: np.ndarray  # (N,) names
    kinds: np.ndarray  # (N,) keys of WEIGHTS

    def pick(self, which: np.ndarray) -> Examples:
        return Examples(self.faces[which], self.shifts[which], self.people[which], self.kinds[which])

    def with_mirrors(self) -> Examples:
        flip, partner = np.array([-1, 1, 1], np.float32), mirror_points()
        return Examples(
            np.concatenate([self.faces, self.faces[:, partner] * flip]),
            np.concatenate([self.shifts, self.shifts[:, partner] * flip]),
            np.tile(self.people, 2),
            np.tile(self.kinds, 2),
        )


def read_faces(folder: Path) -> dict[str, np.ndarray]:
    """Landmarks of all photos of a folder, head pose removed: {file stem: (478, 3)}."""
    found = {}
    with Landmarker() as landmarker:
        for path in sorted(folder.glob("*.jpg")):
            found[path.stem] = landmarker.examine(read_photo(path)).aligned
    return found


def gather(data: Path, landmarks: Path) -> Examples:
    """Smiles, neutral faces and talkers' open mouths."""
    faces, shifts, people, kinds = [], [], [], []

    def add(face: np.ndarray, shift: np.ndarray, person: str, kind: str) -> None:
        faces.append(face)
        shifts.append(shift)
        people.append(person)
        kinds.append(kind)

    london = read_faces(data / "faces" / "london")
    for name, smile in london.items():
        person = name.removesuffix("_smile")
        if name != person:
            neutral = london[f"{person}_neutral"]
            add(smile, neutral - smile, person, "smile")
            add(neutral, np.zeros_like(neutral), person, "neutral")
    for person, neutral in read_faces(data / "faces" / "canada").items():
        add(neutral, np.zeros_like(neutral), person, "neutral")
    chance = np.random.default_rng(0)
    for talker in sorted((landmarks / "grid" / "train").iterdir()):
        clips = sorted(talker.glob("*.npy"))
        clips = [clips[k] for k in chance.permutation(len(clips))[:12]]
        points = np.concatenate([np.load(clip, allow_pickle=False) for clip in clips])
        aligned, *_ = remove_pose(points[np.isfinite(points).all((1, 2))], canonical_face())
        gap = mouth_measures(aligned)[:, 0]
        closed = np.flatnonzero(gap <= np.quantile(gap, 0.25))
        rest = aligned[closed].mean(0)
        for k in chance.permutation(closed)[:CLOSED_PER_TALKER]:
            add(aligned[k], np.zeros_like(rest), talker.name, "closed")
        for k in chance.permutation(np.flatnonzero(gap > OPEN_MOUTH))[:PICTURES_PER_TALKER]:
            add(aligned[k], rest - aligned[k], talker.name, "open")
    return Examples(np.stack(faces), np.stack(shifts), np.array(people), np.array(kinds))


def fit(examples: Examples) -> RestModel:
    """Weighted principal components of the lower face, and a ridge regression of the shift on them."""
    both = examples.with_mirrors()
    weight = np.array([WEIGHTS[kind] for kind in both.kinds])
    points = np.flatnonzero(canonical_face()[:FACE, 1] > LOWER_FACE)
    seen = both.faces[:, points].reshape(len(weight), -1).astype(np.float64)
    mean = np.average(seen, axis=0, weights=weight)
    root = np.sqrt(weight)[:, None]
    _, _, components = np.linalg.svd((seen - mean) * root, full_matrices=False)
    components = components[:COMPONENTS]
    scores = np.column_stack([(seen - mean) @ components.T, np.ones(len(weight))])
    ridge = np.full(COMPONENTS + 1, RIDGE * ((scores[:, :-1] * root) ** 2).sum(0).mean())
    ridge[-1] = 0
    shifts = both.shifts.reshape(len(weight), -1)
    normal = (scores * root).T @ (scores * root) + np.diag(ridge)
    map_ = np.linalg.solve(normal, (scores * weight[:, None]).T @ shifts)
    return RestModel(points.astype(np.int64), *(a.astype(np.float32) for a in (mean, components, map_)))


def left_out(examples: Examples) -> np.ndarray:
    """Each example's shift as a model predicts it that has not seen the person; (N, 478, 3)."""
    people = sorted(set(examples.people))
    predicted = np.zeros_like(examples.shifts)
    for fold in range(FOLDS):
        out = np.isin(examples.people, people[fold::FOLDS])
        model = fit(examples.pick(~out))
        for k in np.flatnonzero(out):
            predicted[k] = model.shift(examples.faces[k])
    return predicted


def lips_distance(shift: np.ndarray) -> np.ndarray:
    """Mean 2D length over the lips' points; (N, 478, 3) -> (N,)."""
    return np.linalg.norm(shift[:, LIPS, :2], axis=-1).mean(-1)


def scores(examples: Examples) -> dict[str, float]:
    """The figures of the card, people left out."""
    predicted = left_out(examples)
    kind = examples.kinds
    error, before = lips_distance(examples.shifts - predicted), lips_distance(examples.shifts)
    smiles = kind == "smile"
    mean_shift = lips_distance(examples.shifts[smiles] - examples.shifts[smiles].mean(0)).mean()
    return {
        "smile_share_of_no_change": float(error[smiles].mean() / before[smiles].mean()),
        "smile_share_of_no_change_mean_shift": float(mean_shift / before[smiles].mean()),
        "smile_error_eye_distances": float(error[smiles].mean()),
        "smile_no_change_eye_distances": float(before[smiles].mean()),
        "open_share_of_no_change": float(error[kind == "open"].mean() / before[kind == "open"].mean()),
        "neutral_moved_eye_distances": float(lips_distance(predicted)[kind == "neutral"].mean()),
        "neutral_left_alone": float((lips_distance(predicted)[kind == "neutral"] < 0.003).mean()),
        "closed_moved_eye_distances": float(lips_distance(predicted)[kind == "closed"].mean()),
        "closed_left_alone": float((lips_distance(predicted)[kind == "closed"] < 0.003).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the map that brings a smiling or open mouth to rest.")
    parser.add_argument("data", type=Path, help="folder that holds faces/")
    parser.add_argument("landmarks", type=Path, help="folder of cached landmarks, grid/train/TALKER/*.npy")
    parser.add_argument("folder", type=Path, help="where unsmile.npz and its card go")
    arguments = parser.parse_args()
    for folder in (arguments.data / "faces" / "london", arguments.landmarks / "grid" / "train"):
        if not folder.is_dir():
            parser.error(f"{folder} is missing")
    examples = gather(arguments.data, arguments.landmarks)
    metrics = {name: round(value, 4) for name, value in scores(examples).items()}
    model = fit(examples)
    export_npz(
        arguments.folder,
        MODEL,
        {
            "points": model.points.astype(np.int16),
            "mean": model.mean.astype(np.float32),
            "components": model.components.astype(np.float16),
            "map": model.map.astype(np.float16),
        },
        {"face": (478, 3)},
        {"shift": (478, 3)},
        {**metrics, "people": len(set(examples.people[examples.kinds == "smile"]))},
        LICENCES,
    )
    print(f"{len(examples.people)} examples")


if __name__ == "__main__":
    main()
