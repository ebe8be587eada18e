"""What a face shape does to the motion channels: ARKit shapes on rendered heads, and the smiles of real people.

    python -m train.motion.shapes --heads HEADS --data-root DATA --out docs/reports/shapes.md

Every shape is set to 1 on both sides of ten random rendered heads that look at the camera; every person of DATA/faces
who was photographed neutral and smiling is measured in both. Landmarks are engines/face/landmarker.py's, channels those
of engines/face/measure.py, figures are medians over people. engines/motion/arkit.py and engines/motion/expression.py
hold the numbers that follow (but for the smile's corners, docs/decisions.md). HEADS is the folder of the renderer
(heads.py; moderngl on EGL, no GPU needed).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.errors import VoxcamError
from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, lid_opening, mouth_measures, remove_pose
from engines.face.photo import read_photo
from engines.spec import SPEECH_CHANNELS
from engines.whole_file import write_atomically
from train.data.rendered_people import load_heads

COLUMNS = (*SPEECH_CHANNELS, "lids shut")
SHUT_SMILE = 0.02  # eye distances: a smile that opens the lips by less counts as shut
PICTURE_PX = 320


def effect(neutral: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Landmarks (478, 3) of one person at rest and changed -> (15,): channels, and the share by which lids shut."""
    aligned = remove_pose(np.stack([neutral, changed]), canonical_face())[0]
    rest, now = mouth_measures(aligned)
    open_gap, gap = lid_opening(aligned).mean(-1)
    return np.append(now - rest, 1 - gap / open_gap)


def load_renderer(folder: Path) -> tuple[object, Callable[[int], None], Callable[[dict[str, float]], np.ndarray]]:
    """Names of the renderer's shapes, a function to choose a person, one to draw weights."""
    heads = load_heads(folder)
    renderer = heads.Renderer(size=PICTURE_PX, ss=1.5)
    zero = (0.0, 0.0, 0.0)

    def choose(seed: int) -> None:
        renderer.set_identity(heads.sample_cfg(seed, renderer))

    def draw(weights: dict[str, float]) -> np.ndarray:
        return renderer.frame(weights, zero, (0.0, 0.0), zero, (0.0, 0.0))

    return renderer.en, choose, draw


def measure_heads(folder: Path, people: int, landmarker: Landmarker) -> dict[str, np.ndarray]:
    """Shape -> (people, 15) effects of weight 1 on both sides."""
    names, choose, draw = load_renderer(folder)
    shapes: dict[str, list[str]] = {}
    for name in sorted(names):  # type: ignore[call-overload]
        shapes.setdefault(name.removesuffix("_L").removesuffix("_R"), []).append(name)
    effects: dict[str, list[np.ndarray]] = {shape: [] for shape in shapes}
    for seed in range(people):
        choose(seed)
        neutral = landmarker.examine(draw({})).landmarks
        for shape, sides in shapes.items():
            effects[shape].append(effect(neutral, landmarker.examine(draw(dict.fromkeys(sides, 1.0))).landmarks))
        print(f"head {seed + 1} of {people}", flush=True)
    return {shape: np.array(rows) for shape, rows in effects.items()}


def measure_smiles(faces: Path, landmarker: Landmarker) -> np.ndarray:
    """(people, 15) effects of a posed smile, over all pairs NAME_neutral.jpg and NAME_smile.jpg."""
    rows = []
    for smiling in sorted(faces.glob("*/*_smile.jpg")):
        neutral = smiling.with_name(smiling.name.replace("_smile", "_neutral"))
        if neutral.exists():
            pictures = [read_photo(path) for path in (neutral, smiling)]
            rows.append(effect(*(landmarker.examine(picture).landmarks for picture in pictures)))
    return np.array(rows)


def table(rows: dict[str, np.ndarray]) -> str:
    """Markdown table, one row a shape."""
    lines = ["| shape | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, effects in rows.items():
        middle = np.median(effects, 0)
        lines.append(f"| {name} | " + " | ".join("." if abs(v) < 0.005 else f"{v:.3f}" for v in middle) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write; the file is written beside and renamed."""
    parser = argparse.ArgumentParser(prog="python -m train.motion.shapes", description=__doc__.split("\n\n")[0])
    parser.add_argument("--heads", type=Path, required=True, help="folder with heads.py")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"), help="folder with faces/")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("docs/reports/shapes.md"))
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    try:
        with Landmarker() as landmarker:
            smiles = measure_smiles(Path(options.data_root) / "faces", landmarker)
            shapes = measure_heads(options.heads, options.people, landmarker)
    except VoxcamError as error:
        parser.error(str(error))
    shut = smiles[smiles[:, 0] < SHUT_SMILE]
    rows = {**shapes, f"smile, {len(smiles)} real people": smiles, f"of these {len(shut)} with shut lips": shut}
    text = (
        "# Effect of face shapes on the motion channels\n\n"
        f"Weight 1 on both sides, median of {options.people} rendered heads; eye distances, lids as a share of the "
        "open gap; a dot is less than .005. Made by `python -m train.motion.shapes`.\n\n" + table(rows) + "\n"
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, text.encode())
    print(options.out)


if __name__ == "__main__":
    main()
