"""Tell another person's photo from another photo of the same person, by landmarks: engines/face/likeness.py.

    python -m train.face.likeness DATA LANDMARKS HEADS engines/weights

DATA/faces/{london,canada,cc0}: photos of 117 people, read by our own landmarker. LANDMARKS/grid/*/TALKER/*.npy,
(75, 478, 3) px: talkers in several clips. HEADS: rendered people, one npz each (train/data/render_heads.py). Every
second person of each set is taught on; the others are for the figures that are printed and written into the card. The
one person of cc0, whose photos are years and lenses apart, is never taught on.

Each photo is taught with its mirror image, as selfies are, and with what another camera would see: nearer or farther,
the head turned a little. The limit is the largest distance between two photos of one person among those taught on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from engines.face.likeness import MODEL, LikenessModel
from engines.face.measure import canonical_face, mirror_points, remove_pose
from engines.face_points import FACE, INNER_LIPS, OUTER_LIPS
from train.face.unsmile import LICENCES, read_faces
from train.npz_export import export_npz

ABOVE_MOUTH = 0.5  # points above this (eye distances under the eyes) are looked at
COMPONENTS = 20
VIEWS = 6  # made up for each person
NEAREST, FARTHEST, TAKEN_FROM = 6.0, 40.0, 20.0  # of the camera, eye distances (63 mm): 0.4, 2.5 and about 1.3 m
TURN_RAD = (0.15, 0.12)  # standard deviation sideways, up and down
RIDGE = 1e-4  # of the mean variance
CLIPS = 6  # of each talker
SEED = 1
People = dict[str, np.ndarray]  # name -> (photos, 478, 3) eye distances, head pose removed


def gather(data: Path, landmarks: Path, heads: Path) -> dict[str, People]:
    """Photos by person, by set."""
    canonical = canonical_face()
    grid: People = {}
    for talker in sorted(landmarks.glob("grid/*/*")):
        clips = sorted(talker.glob("*.npy"))
        chosen = [clips[k] for k in np.linspace(0, len(clips) - 1, CLIPS).astype(int)]
        courses = [points[np.isfinite(points).all((1, 2))] for points in map(np.load, chosen)]
        pictures = [points[k] for points in courses if len(points) for k in (0, len(points) // 2)]
        grid[talker.name] = remove_pose(np.stack(pictures), canonical)[0]
    rendered: People = {}
    for path in sorted(heads.glob("*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            rendered[path.stem] = remove_pose(stored["landmarks"][[0, 1, 4, 7, 10]], canonical)[0]
    photos: dict[str, dict[str, list[np.ndarray]]] = {"london": {}, "canada": {}, "cc0": {}}
    for name, people in photos.items():
        for stem, face in read_faces(data / "faces" / name).items():
            person = "one" if name == "cc0" else stem.partition("_")[0]
            people.setdefault(person, []).append(face)
    stacked = {name: {p: np.stack(faces) for p, faces in people.items()} for name, people in photos.items()}
    return stacked | {"grid": grid, "rendered": rendered}


def other_views(face: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """(478, 3) -> (VIEWS, 478, 3): as cameras at other distances see it, the head turned; head pose removed again."""
    made = []
    for distance in np.exp(chance.uniform(np.log(NEAREST), np.log(FARTHEST), VIEWS)):
        yaw, pitch = chance.normal(0, TURN_RAD)
        about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        points = face.astype(np.float64)
        points[:, :2] *= 1 + points[:, 2:] / TAKEN_FROM
        points = points @ (about_y @ about_x).T
        points[:, :2] /= 1 + points[:, 2:] / distance
        made.append(points)
    return remove_pose(np.stack(made), canonical_face())[0]


def fit(people: Sequence[np.ndarray]) -> LikenessModel:
    """Discriminant directions of the taught people, and the limit."""
    chance, flip, partner = np.random.default_rng(SEED), np.array([-1, 1, 1], np.float32), mirror_points()
    face = canonical_face()
    lips = set(OUTER_LIPS + INNER_LIPS)
    points = np.array([k for k in range(FACE) if face[k, 1] < ABOVE_MOUTH and k not in lips])
    each = []
    for photos in people:
        seen = np.concatenate([photos, other_views(photos[0], chance)])
        seen = np.concatenate([seen, seen[:, partner] * flip])
        each.append(seen[:, points, :2].reshape(len(seen), -1).astype(np.float64))
    everyone = np.concatenate(each)
    components = np.linalg.svd(everyone - everyone.mean(0), full_matrices=False)[2][:COMPONENTS].T
    within = np.mean([np.cov((seen @ components).T) for seen in each], 0)
    within += RIDGE * np.trace(within) / COMPONENTS * np.eye(COMPONENTS)
    values, vectors = np.linalg.eigh(within)
    whiten = components @ (vectors / np.sqrt(values))
    between, directions = np.linalg.eigh(np.cov(np.stack([seen[0] @ whiten for seen in each]).T))
    # What of a direction's variance is people and not their photos.
    share = np.sqrt(np.clip(between - 1, 0, None) / between)
    model = LikenessModel(points, (whiten @ (directions * share)).astype(np.float32), 1.0)
    return LikenessModel(
        points, model.map, float(np.concatenate([same_person(model, photos) for photos in people]).max())
    )


def same_person(model: LikenessModel, photos: np.ndarray) -> np.ndarray:
    return np.array([model.apart(one, other) for one, other in combinations(photos, 2)])


def other_people(model: LikenessModel, some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """First photo of each of some against the last of each of the others (themselves left out)."""
    return np.array([model.apart(one[0], other[-1]) for one in some for other in others if one is not other])


def scores(model: LikenessModel, held_out: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """The figures of the card, on people who were not taught on."""
    found: dict[str, float] = {}
    for name, people in held_out.items():
        same = np.concatenate([same_person(model, photos) for photos in people])
        real = [*held_out["london"], *held_out["canada"]]
        other = other_people(
            model,
            [one[k : k + 1] for one in people for k in range(len(one))] if name == "cc0" else people,
            real if name == "cc0" else people,
        )
        found[f"{name}_people"] = len(people)
        if len(same):
            found[f"{name}_false"] = float((same > 1).mean())
            found[f"{name}_same_pairs"] = len(same)
            truth = np.concatenate([np.zeros(len(same)), np.ones(len(other))])
            found[f"{name}_auc"] = float(roc_auc_score(truth, np.concatenate([same, other])))
        found[f"{name}_found"] = float((other > 1).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the hint that a second photo shows another person.")
    parser.add_argument("data", type=Path, help="folder that holds faces/")
    parser.add_argument("landmarks", type=Path, help="folder of cached landmarks, grid/*/TALKER/*.npy")
    parser.add_argument("heads", type=Path, help="folder of rendered people, one npz each")
    parser.add_argument("folder", type=Path, help="where likeness.npz and its card go")
    arguments = parser.parse_args()
    for folder in (arguments.data / "faces" / "london", arguments.landmarks / "grid", arguments.heads):
        if not folder.is_dir():
            parser.error(f"{folder} is missing")
    sets = gather(arguments.data, arguments.landmarks, arguments.heads)
    taught = [photos for name, people in sets.items() if name != "cc0" for photos in list(people.values())[::2]]
    held_out = {name: list(people.values())[0 if name == "cc0" else 1 :: 2] for name, people in sets.items()}
    model = fit(taught)
    metrics = {name: round(value, 4) for name, value in scores(model, held_out).items()}
    export_npz(
        arguments.folder,
        MODEL,
        {
            "points": model.points.astype(np.int16),
            "map": model.map.astype(np.float32),
            "limit": np.array(model.limit, np.float64),
        },
        {"faces": (2, 478, 3)},
        {"apart": (1,)},
        {**metrics, "people": len(taught)},
        {**LICENCES, "rendered people (ICT-FaceKit, MakeHuman)": "MIT, CC0"},
    )
    print(f"{len(taught)} people taught on, limit {model.limit:.2f}")


if __name__ == "__main__":
    main()
