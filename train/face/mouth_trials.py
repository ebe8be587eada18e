"""How what is drawn between the lips differs from the true picture under true motion (docs/decisions.md).

    python -m train.face.mouth_trials --data-root DATA --landmarks LANDMARKS

Talker by talker on GRID's training talkers, and in the smiles of the London set: the mean distance, which likes what is
blurred, and the light of the darkest to the brightest parts, which does not.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from engines.face.tones import LUMA
from engines.face_points import INNER_LIPS
from engines.generator import Generator, open_generator
from engines.portrait import make_portrait
from train.data.motion_labels import OPEN, fast_landmarker
from train.face.face_score import bring_to_pose, drive
from train.face.face_stills import Photos, still_codes

SEEN_CLIPS, SEEN_PICTURES = 4, 20  # of a talker
SEEN_OPEN, SMILE_OPEN = 0.07, 0.03  # eye distances between the lips at least
PARTS = (0.04, 0.25, 0.5, 0.75, 0.97)  # of the pixels between the lips, by their light


def parts_of(pixels: np.ndarray) -> np.ndarray:
    """Colours of the darkest to the brightest parts of (n, 3) pixels, (len(PARTS), 3)."""
    ordered = pixels[np.argsort(pixels @ LUMA)]
    middles = [int(part * len(ordered)) for part in PARTS]
    return np.stack([ordered[max(0, k - 2) : k + 3].mean(0) for k in middles])


def between_lips(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Pixels of a picture (H, W, 3) within the inner lips of landmarks (478, 3) px, (n, 3) float32."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(landmarks[list(INNER_LIPS), :2] * 16).astype(np.int32)], 1, shift=4)
    return picture[mask > 0].astype(np.float32)


def try_inside(data_root: Path, landmarks_root: Path, say: Callable[[str], None] = print) -> None:
    """Say how far the drawn inside of the mouth is from the true one, by the closed form and with the network."""
    with fast_landmarker() as landmarker:
        pairs = list(Photos(data_root, landmarks_root / "faces", landmarker).pairs())
    for name, generator in (("closed form", Generator()), ("network", open_generator())):
        distances, biases = [], []
        for talker in sorted((data_root / "grid" / "train").iterdir()):
            clips = sorted(talker.glob("*.mkv"))
            clips = clips[:: max(1, len(clips) // SEEN_CLIPS)][:SEEN_CLIPS]
            off, bias = [], []
            for clip in clips:
                kept = landmarks_root / "grid" / "train" / talker.name / f"{clip.stem}.npy"
                driven = drive(clip, kept) if kept.exists() else None
                if driven is None:
                    continue
                opened = np.flatnonzero(driven.codes[:, OPEN] > SEEN_OPEN)
                for k in opened[:: max(1, len(opened) * len(clips) // SEEN_PICTURES)]:
                    points = driven.landmarks[k]
                    drawn = between_lips(generator.draw(driven.codes[k], driven.portrait), points)
                    true = between_lips(driven.truth[k], points)
                    off.append(np.abs(drawn - true).mean())
                    bias.append(parts_of(drawn) - parts_of(true))
            if off:
                say(f"{name} | {talker.name} | off by {np.mean(off):.1f}")
                distances.append(np.mean(off))
                biases.append(np.mean(bias, 0))
        lights = ", ".join(" ".join(f"{v:+.0f}" for v in part) for part in np.mean(biases, 0))
        say(f"{name} | {len(distances)} talkers | off by {np.mean(distances):.2f} | darkest to brightest {lights}")
        smiles = []
        for pair in pairs:
            points = np.stack([pair.at_rest, pair.moved])
            portrait, codes = make_portrait(pair.neutral, pair.at_rest), still_codes(points)
            if codes[1, OPEN] < SMILE_OPEN:
                continue
            pictures = np.stack([pair.neutral, pair.smiling])
            truth, moved = bring_to_pose(pictures, points, codes, portrait, 0, smooth=False)
            drawn, true = (between_lips(p, moved[1]) for p in (generator.draw(codes[1], portrait), truth[1]))
            smiles.append(np.abs(drawn - true).mean())
        say(f"{name} | {len(smiles)} smiles | off by {np.mean(smiles):.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.face.mouth_trials", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"))
    parser.add_argument("--landmarks", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    try_inside(Path(options.data_root), options.landmarks)


if __name__ == "__main__":
    main()
