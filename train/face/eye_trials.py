"""Trials of how eyes shut, of what rims of glasses are, and of which photos have no colours (docs/decisions.md).

    python -m train.face.eye_trials --data-root DATA --landmarks LANDMARKS

blinks: light across the line of a shut eye, as shares of the skin's, from .16 of an eye distance above it to .16 below:
GRID's training talkers' most shut eyes, and the same people's first pictures drawn shut.
lids: what the landmarker reads of lids drawn so far shut (`DRAWN`, train/motion/idle.py), on those first pictures.
rims: eyes of the sharp photos in which rims are found, as they are (none wears glasses), and with drawn ones.
colours: how coloured photos are taken for, 0 to 1 (Palette in engines/face/tones.py): as they are, with two fifths of
their colour, and toned.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, eye_distance, lid_opening, remove_pose
from engines.face.tones import LUMA, measure_palette
from engines.face_points import EYES
from engines.generator import BLINK, Generator
from engines.portrait import make_portrait
from engines.spec import MOTION_CHANNELS
from train.data.motion_labels import fast_landmarker
from train.face.face_score import read_clip
from train.face.face_sheets import sized
from train.face.face_stills import Photos
from train.motion.idle import DRAWN

SHUT = 0.3  # of a talker's usual opening, the most at which lids count as shut
ACROSS = np.arange(-0.16, 0.161, 0.01)  # eye distances
FACE_PX = 480  # height of a face at which rims are looked for
# Colour and thickness (eye distances) of drawn rims, and how far above the eyes' middle they end.
Kind = tuple[tuple[int, int, int], float, float]
RIMS: tuple[Kind, ...] = (
    *(((25, 20, 20), 0.05, 0.36), ((25, 20, 20), 0.06, 0.24), ((90, 80, 70), 0.03, 0.22)),
    *(((30, 20, 60), 0.06, 0.26), ((20, 20, 20), 0.05, 0.22), ((160, 150, 140), 0.05, 0.20)),
)


def across_line(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Light across both eyes' line between the lids, darkest in the middle, as shares of skin's; (len(ACROSS),)."""
    scale = float(eye_distance(landmarks))
    rows = []
    for eye in EYES:
        middle = (landmarks[list(eye.upper), :2] + landmarks[list(eye.lower), :2]) / 2
        along = (middle[-1] - middle[0]) / np.linalg.norm(middle[-1] - middle[0])
        down = np.array([-along[1], along[0]]) * np.sign(along[0])
        for point in middle[2:-2]:
            places = (point + scale * ACROSS[:, None] * down).astype(np.float32)
            light = cv2.remap(picture, places[None, :, 0], places[None, :, 1], cv2.INTER_LINEAR)[0] @ LUMA
            rows.append(np.roll(light, len(ACROSS) // 2 - (6 + int(light[6:-6].argmin()))))
    light = np.mean(rows, 0)
    return np.asarray(light / np.quantile(light, 0.9))


def openings(points: np.ndarray) -> np.ndarray:
    """Mean gap of the lids, eye distances, of landmarks (T, 478, 3) px; NaN where no face was found; (T,)."""
    found = np.isfinite(points).all((1, 2))
    gaps = np.full(len(points), np.nan)
    if found.any():
        gaps[found] = lid_opening(remove_pose(points[found], canonical_face())[0]).mean(-1)
    return gaps


def try_blinks(data: Path, landmarks_root: Path, landmarker: Landmarker, say: Callable[[str], None]) -> None:
    """Say what shut eyes look like, filmed and drawn."""
    generator, shut = Generator(), np.zeros(len(MOTION_CHANNELS), np.float32)
    shut[BLINK : BLINK + 2] = 1
    for talker in sorted((landmarks_root / "grid" / "train").iterdir()):
        courses = {path.stem: np.load(path) for path in sorted(talker.glob("*.npy"))}
        if not courses:
            continue
        opened = {stem: openings(points) for stem, points in courses.items()}
        usual = np.nanmedian(np.concatenate(list(opened.values())))
        stem = min(opened, key=lambda name: float(np.nanmin(opened[name])))
        k = int(np.nanargmin(opened[stem]))
        if opened[stem][k] > SHUT * usual:
            continue
        pictures, points = read_clip(data / "grid" / "train" / talker.name / f"{stem}.mkv"), courses[stem]
        drawn = generator.draw(shut, make_portrait(pictures[0], points[0]))
        for name, light in (
            ("filmed", across_line(pictures[k], points[k])),
            ("drawn", across_line(drawn, landmarker.examine(drawn).landmarks)),
        ):
            say(f"blinks | {talker.name} | {name} | " + " ".join(f"{v:.2f}" for v in light[6:27:2]))


def try_lids(data: Path, landmarks_root: Path, landmarker: Landmarker, say: Callable[[str], None]) -> None:
    """Say what is read of lids drawn from open to shut: 1 - opening, as a share of the open eye's."""
    generator, rows = Generator(), []
    for talker in sorted((landmarks_root / "grid" / "train").glob("s*")):
        found = min(talker.glob("*.npy"), default=None)
        if found is None:
            continue
        points, clip = np.load(found).astype(np.float32), data / "grid" / "train" / talker.name / f"{found.stem}.mkv"
        widest = int(np.nanargmax(openings(points)))
        portrait = make_portrait(read_clip(clip)[widest], points[widest])
        drawn = np.zeros((len(DRAWN), len(MOTION_CHANNELS)), np.float32)
        drawn[:, BLINK : BLINK + 2] = np.array(DRAWN)[:, None]
        pictures = [generator.draw(code, portrait).copy() for code in drawn]
        gaps = openings(np.stack([landmarker.landmarks_near(picture, portrait.landmarks) for picture in pictures]))
        rows.append(1 - gaps / gaps[0])
    for k, shut in enumerate(DRAWN if rows else ()):
        read = np.array(rows)[:, k]
        say(f"lids | drawn {shut:.2f} | read {read.mean():.2f} | {read.min():.2f} to {read.max():.2f} of {len(rows)}")


def put_on(
    photo: np.ndarray, landmarks: np.ndarray, colour: tuple[int, int, int], thick: float, up: float
) -> np.ndarray:
    """A photo with glasses drawn on; thick, up: eye distances."""
    worn, scale = photo.copy(), float(eye_distance(landmarks))
    for eye in EYES:
        corners = landmarks[[eye.upper[0], eye.upper[-1]], :2]
        (x, y), half = corners.mean(0), 0.85 * float(np.linalg.norm(corners[1] - corners[0]))
        top, bottom = y - up * scale, y + 0.33 * scale
        sides = (
            (-1, top),
            (1, top),
            (0.95, (top + bottom) / 2),
            (0.75, bottom),
            (-0.75, bottom),
            (-0.95, (top + bottom) / 2),
        )
        rim = np.array([[x + share * half, height] for share, height in sides])
        width = max(1, int(thick * scale))
        cv2.polylines(worn, [np.round(rim * 16).astype(np.int32)], True, colour, width, cv2.LINE_AA, 4)
    return worn


def browned(photo: np.ndarray) -> np.ndarray:
    """A photo toned brown and saved as a JPEG of quality 60."""
    light = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) / 255.0
    toned = np.stack([light**0.8, 0.93 * light**0.95, 0.78 * light**1.15], -1) * 255
    saved = cv2.imencode(".jpg", toned.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(saved, cv2.IMREAD_COLOR))


def try_photos(photos: Photos, say: Callable[[str], None]) -> None:
    """Say in how many eyes rims are found, and how colourful photos are."""
    found: dict[Kind | None, int] = dict.fromkeys((None, *RIMS), 0)
    coloured: dict[str, list[float]] = {}
    names = sorted(path.stem for path in photos.folder.glob("*/*.jpg") if (photos.cache / f"{path.stem}.npy").is_file())
    for name in names:
        photo, points = sized(*photos(name), FACE_PX)
        for kind in found:
            worn = photo if kind is None else put_on(photo, points, *kind)
            found[kind] += sum(bool(rims.cover.size) for rims in make_portrait(worn, points).bare.rims)
        grey = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
        faded = cv2.addWeighted(photo, 0.4, grey, 0.6, 0)
        for way, picture in (("as they are", photo), ("faded", faded), ("grey", grey), ("brown", browned(photo))):
            coloured.setdefault(way, []).append(measure_palette(picture, points).colour)
    for kind, count in found.items():
        say(f"rims | {'none' if kind is None else kind} | {count} of {2 * len(names)} eyes")
    for way, shares in coloured.items():
        say(f"colours | {way} | least {min(shares):.2f} | median {np.median(shares):.2f} | most {max(shares):.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.face.eye_trials", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"))
    parser.add_argument("--landmarks", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    data = Path(options.data_root)
    with fast_landmarker() as landmarker:
        try_blinks(data, options.landmarks, landmarker, print)
        try_lids(data, options.landmarks, landmarker, print)
        try_photos(Photos(data, options.landmarks / "faces", landmarker), print)


if __name__ == "__main__":
    main()
