"""Sharp photos of real people: smiles against their own, smiles brought to rest, sharpness, and who it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from engines.card import WEIGHTS
from engines.errors import ConfigError
from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, mouth_measures, remove_pose
from engines.face_points import FACE, INNER_LIPS, OUTER_LIPS
from engines.generator import Generator
from engines.portrait import Portrait, make_portrait
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS
from engines.whole_file import atomic_file
from train.data.motion_labels import fast_landmarker
from train.face.face_score import align, bring_to_pose, lips_apart, mouth_box
from train.face.generator_data import read_rgb
from train.face.picture_metrics import gradient_similarity, grey, sharpness, ssim

SMILE_EYES_PX = 72  # pixels between the eyes at which smiles are compared
SPEECH_SHAPES = ("parted", "half", "wide")


@dataclass(frozen=True, slots=True)
class Pair:
    """One person's two photos: mouth closed, and smiling; landmarks (478, 3) px of each."""

    name: str
    neutral: np.ndarray
    smiling: np.ndarray
    at_rest: np.ndarray
    moved: np.ndarray


class Photos:
    """data/faces with the landmarks that our own landmarker reads in them, as the product does; kept in `cache`."""

    def __init__(self, data: Path, cache: Path, landmarker: Landmarker) -> None:
        self.folder, self.cache, self.landmarker = data / "faces", cache, landmarker

    def __call__(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A picture by its stem, and its landmarks (478, 3) px."""
        (path,) = self.folder.glob(f"*/{name}.jpg")
        rgb, kept = read_rgb(path), self.cache / f"{name}.npy"
        if not kept.is_file():
            with atomic_file(kept) as file:
                np.save(file, self.landmarker.examine(rgb).landmarks)
        return rgb, np.load(kept)

    def pairs(self, every: int = 1) -> Iterator[Pair]:
        """People with both photos, every `every`-th of them."""
        for smile in sorted((self.folder / "london").glob("*_smile.jpg"))[::every]:
            name = smile.stem.removesuffix("_smile")
            (neutral, at_rest), (smiling, moved) = (self(f"{name}_{kind}") for kind in ("neutral", "smile"))
            yield Pair(name, neutral, smiling, at_rest, moved)


def find_photo_landmarks(data: Path, out: Path, say: Callable[[str], None] = lambda _text: None) -> None:
    """Find the landmarks of every photo of data/faces that has none in `out`."""
    missing = [path for path in sorted((data / "faces").glob("*/*.jpg")) if not (out / f"{path.stem}.npy").is_file()]
    if not missing:
        return
    with fast_landmarker() as landmarker:
        photos = Photos(data, out, landmarker)
        for path in missing:
            photos(path.stem)
    say(f"landmarks of {len(missing)} photos")


def still_codes(landmarks: np.ndarray) -> np.ndarray:
    """Codes (n, 26) of stills of one person, the first at rest."""
    aligned, *_ = remove_pose(landmarks, canonical_face())
    measures = mouth_measures(aligned)
    codes = np.zeros((len(landmarks), len(MOTION_CHANNELS)), np.float32)
    codes[:, : len(SPEECH_CHANNELS)] = measures - measures[0]
    return codes


def score_smiles(
    people: Iterator[Pair], generators: dict[str, Generator], landmarker: Landmarker
) -> dict[str, dict[str, float]]:
    """Closed mouth -> own smile under true motion, at 72 px between the eyes; also the way of a smile back to rest.

    Row name -> ssim, gradient similarity (mean, deviation), LMD, sharpness against the true smile; "rest" -> share of
    the lips' distance to the own neutral photo that is left when a smiling portrait is brought to rest, here and, by
    the card, with the person left out of what taught it.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    lips, left, before = list(INNER_LIPS + OUTER_LIPS), [], []
    for pair in people:
        points = np.stack([pair.at_rest, pair.moved])
        portrait = make_portrait(pair.neutral, pair.at_rest)
        codes = still_codes(points)
        truth, moved = bring_to_pose(np.stack([pair.neutral, pair.smiling]), points, codes, portrait, 0, smooth=False)
        box, shrink = mouth_box(portrait), SMILE_EYES_PX / float(portrait.scale[0])

        def small(picture: np.ndarray, box=box, shrink: float = shrink) -> np.ndarray:
            return grey(cv2.resize(picture[box], None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))

        real = align(landmarker.landmarks_near(truth[1], moved[1])[None])[0]
        drawn = {"static photo": portrait.photo} | {n: g.draw(codes[1], portrait) for n, g in generators.items()}
        for name, picture in drawn.items():
            similarity, deviation = gradient_similarity(small(picture), small(truth[1]))
            read = align(landmarker.landmarks_near(picture, moved[1])[None])[0]
            values = {
                "ssim": ssim(small(picture), small(truth[1])),
                "gradient_similarity": similarity,
                "gmsd": deviation,
                "lmd": float(lips_apart(read, real)),
                "sharpness": sharpness(small(picture)) / sharpness(small(truth[1])),
            }
            rows.setdefault(name, []).append(values)
        smile = make_portrait(pair.smiling, pair.moved)
        aligned, *_ = remove_pose(points[::-1], canonical_face())
        shift = np.zeros_like(aligned[0])
        shift[:FACE] = smile.rest_shift[:FACE]
        left.append(np.linalg.norm((aligned[0] + shift - aligned[1])[lips, :2], axis=1).mean())
        before.append(np.linalg.norm((aligned[0] - aligned[1])[lips, :2], axis=1).mean())
    found: dict[str, dict[str, float]] = {}
    for name, numbers in rows.items():
        found[name] = {key: float(np.mean([row[key] for row in numbers])) for key in numbers[0]}
    better = [d["gmsd"] < s["gmsd"] for d, s in zip(rows[list(generators)[-1]], rows["static photo"], strict=True)]
    found["people"] = {"count": len(better), "gmsd_better": float(np.mean(better))}
    left_out = json.loads((WEIGHTS / "unsmile.card.json").read_text())["metrics"]["smile_share_of_no_change"]
    found["rest"] = {"share": float(np.mean(left) / np.mean(before)), "left_out": float(left_out)}
    return found


def score_sharpness(
    portraits: list[Portrait], shapes: dict[str, np.ndarray], generators: dict[str, Generator]
) -> dict[str, dict[str, float]]:
    """Sharpness of the drawn mouth box against the photo's own; row name -> shape -> mean over portraits."""
    found: dict[str, dict[str, float]] = {}
    for name, generator in generators.items():
        found[name] = {}
        for shape in SPEECH_SHAPES:
            ratios = []
            for portrait in portraits:
                box = mouth_box(portrait)
                drawn = generator.draw(shapes[shape], portrait)
                ratios.append(sharpness(grey(drawn[box])) / sharpness(grey(portrait.photo[box])))
            found[name][shape] = float(np.mean(ratios))
            found[name][f"{shape}, least"], found[name][f"{shape}, most"] = float(min(ratios)), float(max(ratios))
    return found


class FaceModel:
    """dlib's face model (D. King; ResNet, 128 numbers; CC0): an eye that had no part in making these faces."""

    def __init__(self) -> None:
        if find_spec("dlib") is None or find_spec("face_recognition_models") is None:
            raise ConfigError("the face model is not installed", 'pip install "voxcam[score]"')
        import dlib

        specification = find_spec("face_recognition_models")
        assert specification is not None
        assert specification.origin is not None
        folder = Path(specification.origin).parent / "models"  # importing it wants pkg_resources
        self._dlib = dlib
        self._shape = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._net = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def read(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(128,) of the face at these landmarks (478, 3) px."""
        low, high = landmarks[:FACE, :2].min(0), landmarks[:FACE, :2].max(0)
        middle, half = (low + high) / 2, float((high - low).max()) * 0.46  # dlib's boxes go from brows to chin
        middle[1] += 0.1 * half
        corners = [round(float(value)) for value in (*(middle - half), *(middle + half))]
        picture = np.ascontiguousarray(picture)
        shape = self._shape(picture, self._dlib.rectangle(*corners))
        return np.array(self._net.compute_face_descriptor(picture, shape))


def score_identity(
    people: list[Pair],
    strangers: list[Portrait],
    shapes: dict[str, np.ndarray],
    generators: dict[str, Generator],
    model: FaceModel,
) -> dict:
    """Distance of drawn faces to the photo they were drawn from, as a share of that between the person's two photos.

    people: with two photos; strangers: portraits with one, whose distances stand alone. Names of shapes -> shares.
    """
    own, photos, names = [], [], [*shapes, "own smile"]
    distances: dict[str, dict[str, list[float]]] = {g: {n: [] for n in names} for g in generators}
    cosines: dict[str, list[float]] = {g: [] for g in generators}
    rest: dict[str, list[float]] = {g: [] for g in generators}
    for pair in people:
        portrait = make_portrait(pair.neutral, pair.at_rest)
        here, there = model.read(pair.neutral, pair.at_rest), model.read(pair.smiling, pair.moved)
        own.append(float(np.linalg.norm(here - there)))
        photos.append(here)
        codes = shapes | {"own smile": still_codes(np.stack([pair.at_rest, pair.moved]))[1]}
        smile = make_portrait(pair.smiling, pair.moved)
        for name, generator in generators.items():
            for shape, code in codes.items():
                drawn = model.read(generator.draw(code, portrait), portrait.landmarks)
                distances[name][shape].append(float(np.linalg.norm(drawn - here)))
                cosines[name].append(float(drawn @ here / np.linalg.norm(drawn) / np.linalg.norm(here)))
            still = generator.draw(np.zeros(len(MOTION_CHANNELS), np.float32), smile)
            rest[name].append(float(np.linalg.norm(model.read(still, smile.landmarks) - here)))
    alone: dict[str, list[float]] = {g: [] for g in generators}
    for portrait in strangers:
        here = model.read(portrait.photo, portrait.landmarks)
        photos.append(here)
        for name, generator in generators.items():
            for code in shapes.values():
                drawn = model.read(generator.draw(code, portrait), portrait.landmarks)
                alone[name].append(float(np.linalg.norm(drawn - here)))
    between = np.linalg.norm(np.stack(photos)[:, None] - np.stack(photos)[None], axis=-1)
    others = between[np.triu_indices(len(photos), 1)]
    return {
        "own_two_photos": float(np.mean(own)),
        "others": float(np.mean(others)),
        "others_nearest_percent": float(np.quantile(others, 0.01)),
        "people": len(people),
        "strangers": len(strangers),
        "rows": {
            name: {
                **{shape: float(np.mean(v) / np.mean(own)) for shape, v in distances[name].items()},
                "all": float(np.mean([np.mean(v) for v in distances[name].values()]) / np.mean(own)),
                "largest": float(max(max(v) for v in distances[name].values())),
                "smile at rest": float(np.mean(rest[name]) / np.mean(own)),
                "cosine": float(np.mean(cosines[name])),
                "strangers": float(np.mean(alone[name])) if strangers else float("nan"),
                "strangers_largest": float(max(alone[name])) if strangers else float("nan"),
            }
            for name in generators
        },
    }
