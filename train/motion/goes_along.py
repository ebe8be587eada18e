"""Whether the mouth goes along with what is said: clips of val speakers, whose labels tell when it is open.

GRID's labels are its pictures, the other corpora's the labeller's word. What is done to the clips before they are heard
is the callers' business: other voices (train/motion/lively.py), other microphones (train/motion/microphones.py).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from engines.encoder import Encoder
from train.data.batches import Item, load
from train.data.motion_labels import OPEN
from train.motion.heard import KINDS, Rows, hear
from train.motion.score_motion import OPEN_AT, correlation, three

AS_RECORDED = "as recorded"  # the clips themselves, beside what is done to them
CLIPS = 12  # of each corpus
SHUT_AT = 0.005


def val_clips(data_root: Path, cache: Path) -> tuple[list[Item], float]:
    """Clips of val speakers with motion, CLIPS of each corpus, and the deviation of their opening, eye distances."""
    found: list[Item] = []
    for _, items in sorted(load(data_root, cache, "val").items.items()):
        known = [item for item in items if np.isfinite(item.motion).all()]
        found += known[:: max(1, len(known) // CLIPS)][:CLIPS]
    return found, float(json.loads((cache / "speech.json").read_text())["typical"][OPEN])


def judge(encoder: Encoder, clips: Sequence[Item], opening: float) -> dict:
    """How often the mouth is open where the label's is, and r of the opening; opening: typical deviation of labels."""
    heard: list[Rows] = []
    labels: list[np.ndarray] = []
    for clip in clips:
        rows = hear(encoder, clip.sound.astype(np.float32) / 32767)
        heard.append(rows)
        labels.append(clip.motion[: rows.codes, OPEN].astype(np.float32) * opening)

    def courses(kind: str, ms: int) -> list[np.ndarray]:
        return [KINDS[kind](rows, ms)[: len(label), OPEN] for rows, label in zip(heard, labels, strict=True)]

    def goes_along(kind: str, ms: int) -> float:
        pairs = zip(courses(kind, ms), labels, strict=True)
        return float(np.concatenate([course[label > OPEN_AT] > SHUT_AT for course, label in pairs]).mean())

    def r(kind: str, ms: int) -> float:
        return float(np.mean([correlation(c, label) for c, label in zip(courses(kind, ms), labels, strict=True)]))

    figures = {kind: {"not shut": three(partial(goes_along, kind)), "r": three(partial(r, kind))} for kind in KINDS}
    return {"clips": len(clips), **figures}


def line_of(name: str, row: dict) -> str:
    """What `judge` found, in one line."""
    figures = " | ".join(f"{kind} {figure} {row[kind][figure]}" for kind in KINDS for figure in ("not shut", "r"))
    return f"{name} | {row['clips']} clips | {figures}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where the clips are, and which encoder is judged."""
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"))
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("VOXCAM_CACHE", "cache")))
    parser.add_argument("--engine", default="encoder", help="card of another encoder than the shipped one")
