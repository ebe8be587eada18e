"""A folder of anybody's photos, as voxcam takes them: what is found in each, and a sheet to look at.

    python -m train.face.photo_trials FOLDER --landmarks CACHE/landmarks --sheet sheet.jpg

Nothing is learned from them. docs/decisions.md names the photos by which this was tried.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from engines.errors import InputError
from engines.face.landmarker import Landmarker, PhotoReport
from engines.face.measure import canonical_face, remove_pose
from engines.face.photo import read_photo
from engines.face.tones import LUMA
from engines.face.upper_rims import upper_rims
from engines.generator import open_generator
from engines.portrait import Portrait, make_portrait
from train.face.face_sheets import draw_sheet, speech_shapes, write_jpeg

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
SIDE_PX = 640  # the longer side of what is drawn, at most
SOLID, BRIGHT = 0.9, 0.7  # of a tooth's texture: cover that is all tooth, quantile of its light


def read_all(folder: Path, landmarker: Landmarker) -> Iterator[tuple[Path, np.ndarray, PhotoReport | str]]:
    """Every picture below a folder and what is found in it, or why it is refused."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES):
        try:
            photo = read_photo(path)
            yield path, photo, landmarker.examine(photo)
        except InputError as error:
            yield path, np.zeros(0, np.uint8), str(error)


def teeth_over_skin(portrait: Portrait) -> float | None:
    """Light of own upper teeth over that of the skin; None where they are a guess."""
    solid = portrait.upper_teeth[..., 3] > SOLID
    if portrait.teeth_by_smile[0] != 0.0 or not solid.any():
        return None
    teeth = float(np.quantile(portrait.upper_teeth[solid][:, :3] @ LUMA, BRIGHT))
    return teeth / max(255 * float(portrait.tones[:3] @ LUMA), 1.0)


def rims_before(photo: np.ndarray, landmarks: np.ndarray) -> int:
    """How many eyes an upper rim is found before."""
    _, rotation, scale, _ = (part[0] for part in remove_pose(landmarks[None], canonical_face()))
    return sum(len(line) > 0 for line in upper_rims(photo, landmarks[:, :2], rotation, float(scale)).outlines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.face.photo_trials", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--landmarks", type=Path, required=True, help="GRID's, whose shapes are drawn")
    parser.add_argument("--sheet", type=Path, help="JPEG of each photo, at rest, half, wide and with shut eyes")
    parser.add_argument("--part", choices=("face", "mouth", "eyes"), default="face")
    options = parser.parse_args(arguments)
    shapes = speech_shapes(options.landmarks / "grid" / "train")
    codes = [shapes[name] for name in ("rest", "half", "wide", "blink")]
    photos, portraits, teeth, rims, hidden = [], [], [], 0, 0
    with Landmarker() as landmarker:
        for path, photo, found in read_all(options.folder, landmarker):
            if isinstance(found, str):
                print(f"{path.name} | {found}")
                continue
            portrait = make_portrait(photo, found.landmarks, max_side_px=SIDE_PX)
            rims += rims_before(photo, found.landmarks)
            hidden += int(portrait.eyes_hidden.all())
            share = teeth_over_skin(portrait)
            teeth += [] if share is None else [share]
            photos.append(cv2.resize(photo, portrait.size[::-1], interpolation=cv2.INTER_AREA))
            portraits.append(portrait)
    if not portraits:
        parser.error(f"{options.folder} has no photo with a face")
    print(f"{len(portraits)} faces | upper rims before {rims} of {2 * len(portraits)} eyes | dark glasses {hidden}")
    if teeth:
        low, middle = np.quantile(teeth, (0.1, 0.5))
        print(f"own teeth over skin | {len(teeth)} people | nine in ten {low:.2f} and more | median {middle:.2f}")
    if options.sheet:
        with open_generator() as generator:
            write_jpeg(options.sheet, draw_sheet(portraits, codes, generator, 200, options.part, 2, photos), 88)


if __name__ == "__main__":
    main()
