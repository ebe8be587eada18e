"""Learn to take a smile's folds off a photo: the light of smiling cheeks -> that of the same person's resting ones.

    python -m train.face.unfold DATA engines/weights

DATA/faces/london holds a neutral and a smiling photo of each of 82 people. The neutral one is brought into the smile's
shape by the landmarks of both; how much lighter or darker it is there, place by place, is what engines/face/unfold.py
draws: a ridge regression on bands of the smile's own light for each place, its sums blurred over the neighbourhood, on
each face and its mirror image. Printed: what is left of that difference in people left out in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, head_angles, remove_pose, to_pixel_centres
from engines.face.photo import read_photo
from engines.face.tones import LUMA
from engines.face.unfold import (
    DARK,
    FACTORS,
    FADES_IN,
    FOLDED,
    LOOKED_PX,
    MODEL,
    bands,
    cheeks,
    cut,
    light_of,
    smile_of,
    take_folds_off,
    to_crop,
)
from engines.face.unsmile import rest_shift
from engines.face_points import FACE
from engines.portrait import CROP_PX, CROP_SIZE_PX, crop_to_photo, mask_skin
from train.face.teeth import LICENCES
from train.npz_export import export_npz

LEAST_SMILE = 0.02  # corners that go less far, eye distances, teach nothing
NEIGHBOURS_PX = 5.0  # sigma over which places share what they learn
RIDGE = 0.1  # of each factor's mean square
MOST = 0.5  # of the light's logarithm; what differs by more was moved, not folded
FOLDS = 20
STORED = 2  # places a side that share a stored weight
SIZE_PX = round(CROP_SIZE_PX[0] * LOOKED_PX / CROP_PX), round(CROP_SIZE_PX[1] * LOOKED_PX / CROP_PX)


@dataclass(frozen=True)
class LowerFace:
    """A photo's lower face as engines/face/unfold.py looks at it."""

    crop: np.ndarray  # (h, w, 3) uint8
    points: np.ndarray  # (478, 2) px of it
    skin: np.ndarray  # (h, w) 0..1
    smile: float


@dataclass(frozen=True)
class Examples:
    """Smiles and what turns their light into rest, each with its mirror image."""

    factors: np.ndarray  # (N, FACTORS, h, w)
    wanted: np.ndarray  # (N, h, w)
    weight: np.ndarray  # (N, h, w)
    people: np.ndarray  # (N,)


def lower_face(photo: np.ndarray, landmarks: np.ndarray) -> LowerFace:
    """landmarks (478, 3) px, from pixels' corners."""
    points = to_pixel_centres(landmarks)
    aligned, rotation, scale, translation = (part[0] for part in remove_pose(points[None], canonical_face()))
    to_photo = crop_to_photo(rotation, float(scale), translation, LOOKED_PX)
    skin = cv2.resize(mask_skin(aligned), SIZE_PX[::-1]).astype(np.float32) / 255
    pitch, yaw, _ = head_angles(rotation[None])[0]
    crop, here = cut(photo, to_photo, SIZE_PX), to_crop(points[:, :2], to_photo)
    return LowerFace(crop, here, skin, smile_of(rest_shift(aligned, float(np.hypot(pitch, yaw)))))


def in_smiles_shape(smile: LowerFace, neutral: LowerFace) -> tuple[np.ndarray, np.ndarray]:
    """The neutral face in the smile's shape (h, w, 3) uint8, and where that counts (h, w)."""
    y, x = np.mgrid[: SIZE_PX[0] : 4, : SIZE_PX[1] : 4]
    shift = LinearNDInterpolator(smile.points[:FACE], (neutral.points - smile.points)[:FACE], fill_value=0.0)(x, y)
    shift = cv2.resize(cv2.GaussianBlur(shift.astype(np.float32), (0, 0), 1.0), SIZE_PX[::-1])
    y, x = np.mgrid[: SIZE_PX[0], : SIZE_PX[1]].astype(np.float32)
    there = cv2.remap(
        neutral.crop, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return there, cheeks(smile.skin, smile.points)


def difference(smile: LowerFace, neutral: LowerFace) -> tuple[np.ndarray, np.ndarray]:
    """How much more light the neutral face has in the smile's shape, a logarithm, and where that counts; (h, w)."""
    there, where = in_smiles_shape(smile, neutral)
    found = cv2.GaussianBlur(light_of(there) - light_of(smile.crop), (0, 0), 1.0)
    return np.clip(found - np.median(found[where > 0.5]), -MOST, MOST), where  # without the photos' exposures


def hues_left(folder: Path) -> str:
    """How far the hue of what was a fold is from that of the same skin in the neutral photo, by the shipped weights.

    Hue: colour over light, without what differs all over the face; with the smile, and when its folds are off.
    """
    off: list[list[float]] = []
    crop_itself = np.array([[1.0, 0, 0], [0, 1, 0]])
    for _, smile, neutral in pairs(folder):
        if smile.smile < FADES_IN[0]:
            continue
        there, where = in_smiles_shape(smile, neutral)
        unfolded = take_folds_off(smile.crop, smile.points, smile.skin, crop_itself, smile.smile)
        folds = light_of(unfolded) - light_of(smile.crop) > FOLDED[1]
        if not folds.any():
            continue
        true = hue_of(there)
        away = [hue_of(picture) - true for picture in (smile.crop, unfolded)]
        off.append([float(np.abs(part - np.median(part[where > 0.5], 0))[folds].mean()) for part in away])
    found = np.array(off)
    nearer, (before, after) = (found[:, 1] < found[:, 0]).mean(), found.mean(0)
    return f"{len(found)} people's folds: hue off by {before:.4f}, taken off by {after:.4f}; nearer in {nearer:.2f}"


def hue_of(crop: np.ndarray) -> np.ndarray:
    """Colour over light, (h, w, 3) float32."""
    soft = cv2.GaussianBlur(crop, (0, 0), 1.0).astype(np.float32)
    hue: np.ndarray = soft / np.maximum(soft @ LUMA, DARK)[..., None]
    return hue


def gather(data: Path) -> Examples:
    """Everybody who smiles."""
    factors, wanted, weight, people = [], [], [], []
    for person, smile, neutral in pairs(data / "faces" / "london"):
        if smile.smile < LEAST_SMILE:
            continue
        found, where = difference(smile, neutral)
        for turn in (slice(None), slice(None, None, -1)):
            crop = np.ascontiguousarray(smile.crop[:, turn])
            factors.append(bands(light_of(crop), smile.smile))
            wanted.append(found[:, turn])
            weight.append(where[:, turn])
            people.append(person)
    stack = lambda parts: np.stack(parts).astype(np.float32)  # noqa: E731
    return Examples(stack(factors), stack(wanted), stack(weight), np.array(people))


def pairs(folder: Path) -> Iterator[tuple[str, LowerFace, LowerFace]]:
    """(person, smiling, neutral) of everybody with both photos."""
    with Landmarker() as landmarker:
        for path in sorted(folder.glob("*_smile.jpg")):
            person = path.stem.removesuffix("_smile")
            photos = (read_photo(path), read_photo(path.with_name(f"{person}_neutral.jpg")))
            smile, neutral = (lower_face(photo, landmarker.examine(photo).landmarks) for photo in photos)
            yield person, smile, neutral


def fit(examples: Examples, which: np.ndarray) -> np.ndarray:
    """Weights (FACTORS, h, w) from the examples that `which` (N,) picks."""
    blur = lambda part: cv2.GaussianBlur(part, (0, 0), NEIGHBOURS_PX)  # noqa: E731
    x, y, w = examples.factors[which], examples.wanted[which], examples.weight[which]
    normal = np.empty((*SIZE_PX, FACTORS, FACTORS))
    right = np.empty((*SIZE_PX, FACTORS))
    for i in range(FACTORS):
        right[..., i] = blur((x[:, i] * y * w).sum(0))
        for j in range(i, FACTORS):
            normal[..., i, j] = normal[..., j, i] = blur((x[:, i] * x[:, j] * w).sum(0))
    ridge = RIDGE * np.diag(np.diagonal(normal, axis1=2, axis2=3).mean((0, 1)))
    return np.linalg.solve(normal + ridge, right[..., None])[..., 0].transpose(2, 0, 1)


def left_out(examples: Examples) -> dict[str, float]:
    """What is left of the difference in people left out: of its variance in all, and in how many it became less."""
    names = sorted(set(examples.people))
    before, after = np.zeros(len(examples.people)), np.zeros(len(examples.people))
    for fold in range(FOLDS):
        out = np.isin(examples.people, names[fold::FOLDS])
        weights = fit(examples, ~out)
        for k in np.flatnonzero(out):
            wanted, where = examples.wanted[k], examples.weight[k]
            drawn = (weights * examples.factors[k]).sum(0)
            before[k], after[k] = (wanted**2 * where).sum(), ((wanted - drawn) ** 2 * where).sum()
    return {
        "people": len(names),
        "left_of_the_variance": round(float(after.sum() / before.sum()), 4),
        "nearer_in": round(float((after < before).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.face.unfold", description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path, help="folder that holds faces/london")
    parser.add_argument("folder", type=Path, help="where unfold.npz and its card go")
    parser.add_argument("--hues", action="store_true", help="learn nothing: say how true the hue of what was a fold is")
    arguments = parser.parse_args()
    if not (arguments.data / "faces" / "london").is_dir():
        parser.error(f"{arguments.data / 'faces' / 'london'} is missing")
    if arguments.hues:
        print(hues_left(arguments.data / "faces" / "london"))
        return
    examples = gather(arguments.data)
    metrics = left_out(examples)
    weights = fit(examples, np.ones(len(examples.people), bool))
    coarse = (SIZE_PX[1] // STORED, SIZE_PX[0] // STORED)
    stored = np.stack([cv2.resize(part.astype(np.float32), coarse, interpolation=cv2.INTER_AREA) for part in weights])
    export_npz(
        arguments.folder,
        MODEL,
        {"weights": stored.astype(np.float16)},
        {"factors": (FACTORS, *SIZE_PX)},
        {"gain": SIZE_PX},
        metrics,
        LICENCES,
    )


if __name__ == "__main__":
    main()
