"""People who exist nowhere, talking: test portraits with exactly known motion, in no training set.

    python -m train.data.rendered_people --renderer RENDERER --data-root DATA --out CACHE/rendered_people

RENDERER is the folder of the head renderer (heads.py; moderngl on EGL, no GPU needed). Seeds begin at FIRST_SEED, far
from those that training uses. Each talker speaks three seconds of a synthetic voice that no training heard, blinks
twice and sways a little: phones become mouth shapes by the renderer's own recipes, blended by dominance (Cohen &
Massaro 1993: each phone pulls the mouth most at its middle, lips that must shut pull hardest).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from engines.errors import InputError, VoxcamError
from engines.face.landmarker import Landmarker
from engines.whole_file import write_npz
from train.data.corpora import Clip, Interval, speech
from train.data.motion_labels import PICTURE_S, fast_landmarker

FIRST_SEED = 5000
PICTURE_PX, SUPERSAMPLING = 320, 1.25
PICTURES = 75
BLINK_SHUT_S, BLINK_HELD_S, BLINK_OPEN_S = 0.08, 0.04, 0.14

# Phone -> the renderer's recipe, share of it, and how hard it pulls.
# fmt: off
SHAPES: dict[str, tuple[str, float, float]] = {
    "SIL": ("neutral", 1.0, 1.0),
    "P": ("PP", 1.0, 5.0), "B": ("PP", 1.0, 5.0), "M": ("PP", 1.0, 5.0), "F": ("FF", 1.0, 4.0), "V": ("FF", 1.0, 4.0),
    "TH": ("TH", 1.0, 1.5), "DH": ("TH", 0.7, 1.2), "AA": ("AA", 1.0, 1.0), "AE": ("AA", 0.85, 1.0),
    "AH": ("IH", 0.8, 0.7), "AO": ("OH", 1.0, 1.0), "AW": ("AA", 1.0, 1.0), "AY": ("AA", 0.9, 1.0),
    "EH": ("IH", 1.1, 1.0), "ER": ("OH", 0.45, 0.8), "EY": ("EE", 1.0, 1.0), "IH": ("IH", 0.8, 0.8),
    "IY": ("EE", 1.0, 1.0), "OW": ("OH", 0.9, 1.0), "OY": ("OH", 0.9, 1.0), "UH": ("OU", 0.7, 0.9),
    "UW": ("OU", 1.0, 1.2), "W": ("OU", 0.9, 1.5), "R": ("OU", 0.5, 0.9), "Y": ("EE", 0.7, 0.8),
    "SH": ("OU", 0.6, 1.2), "ZH": ("OU", 0.6, 1.2), "CH": ("OU", 0.6, 1.2), "JH": ("OU", 0.6, 1.2),
    "S": ("EE", 0.5, 1.0), "Z": ("EE", 0.5, 1.0), "L": ("IH", 0.6, 0.6), "N": ("IH", 0.5, 0.5),
    "T": ("IH", 0.5, 0.5), "D": ("IH", 0.5, 0.5), "K": ("IH", 0.5, 0.4), "G": ("IH", 0.5, 0.4),
    "NG": ("IH", 0.5, 0.4), "HH": ("IH", 0.5, 0.3),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class RenderedTalker:
    """One person. Picture 0 is at rest and looks at the camera; picture k > 0 shows the sound's (k - 0.5) * 40 ms."""

    seed: int
    pictures: np.ndarray  # (76, H, W, 3) uint8
    landmarks: np.ndarray  # (76, 478, 3) px, read by our own landmarker
    exact: np.ndarray  # (76, 68, 3) the renderer's own landmarks (iBUG order), head motion left out; cm, y up
    utterance: str  # key of the sound's clip

    @property
    def name(self) -> str:
        return f"rendered {self.seed}"


def load_heads(folder: Path) -> ModuleType:
    """The renderer's module; InputError where the folder holds none."""
    specification = importlib.util.spec_from_file_location("heads", folder / "heads.py")
    if specification is None or specification.loader is None or not (folder / "heads.py").is_file():
        raise InputError(f"{folder} holds no heads.py", "name the head renderer's own folder")
    sys.path.insert(0, str(folder))
    heads = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(heads)
    return heads


def utterances(data: Path, count: int, split: str = "val") -> list[Clip]:
    """Utterances of synthetic voices, as many voices as there are, three seconds and longer."""
    found: dict[str, list[Clip]] = {}
    for clip in speech(data / "speech"):
        if clip.corpus == "tts" and clip.split == split and clip.phones and clip.phones[-1][1] >= PICTURES * PICTURE_S:
            found.setdefault(clip.speaker, []).append(clip)
    voices = sorted(found)
    return [found[voices[k % len(voices)]][k // len(voices)] for k in range(count)]


def mouth_weights(
    phones: tuple[Interval, ...], recipes: dict[str, dict[str, float]], times_s: np.ndarray, strength: float
) -> list[dict[str, float]]:
    """Weights of the renderer's shapes at each time: a mean of the recipes, each weighted by its phone's dominance."""
    middle = np.array([(start + end) / 2 for start, end, _ in phones])
    half = np.array([(end - start) / 2 for start, end, _ in phones])
    pull = np.array([SHAPES[label][2] for _, _, label in phones])
    pull[[label == "SIL" and end - start > 0.16 for start, end, label in phones]] *= 2  # a pause shuts the mouth
    weights = []
    for time_s in times_s:
        away = np.maximum(0, np.abs(time_s - middle) - 0.5 * half)
        dominance = pull * np.exp(-((away / 0.05) ** 1.5))
        share = dominance / max(float(dominance.sum()), 1e-6)
        mixed: dict[str, float] = {}
        for (_, _, label), part in zip(phones, share, strict=True):
            recipe, amount, _ = SHAPES[label]
            for shape, weight in recipes[recipe].items() if part > 1e-3 else ():
                mixed[shape] = mixed.get(shape, 0.0) + float(part) * amount * strength * weight
        weights.append(mixed)
    return weights


def blink_course(times_s: np.ndarray, starts_s: tuple[float, ...]) -> np.ndarray:
    """Closing of the lids 0..1 at each time, for blinks that begin at `starts_s`."""
    shut = np.zeros(len(times_s))
    for start in starts_s:
        t = times_s - start
        closing = np.clip(t / BLINK_SHUT_S, 0, 1)
        opening = np.clip((t - BLINK_SHUT_S - BLINK_HELD_S) / BLINK_OPEN_S, 0, 1)
        shut = np.maximum(shut, np.where(t > 0, closing - opening, 0))
    return shut


def render_talker(heads: ModuleType, renderer, seed: int, clip: Clip, landmarker: Landmarker) -> RenderedTalker:
    """Render one person speaking one utterance. Everything hangs on the seed."""
    random = np.random.default_rng(seed)
    renderer.set_identity(heads.sample_cfg(seed, renderer))
    times = (np.arange(PICTURES) + 0.5) * PICTURE_S
    weights = mouth_weights(clip.phones or (), heads.VIS, times, float(random.uniform(0.75, 1.1)))
    first, second = random.uniform(0.3, 1.2), random.uniform(1.6, 2.6)
    for mixed, shut in zip(weights, blink_course(times, (first, second)), strict=True):
        if shut > 0:
            mixed["eyeBlink_L"] = mixed["eyeBlink_R"] = float(shut)
    phase, rate = random.uniform(0, 6.28, (3, 2)), random.uniform(0.5, 2.5, (3, 2))
    size = np.array([0.025, 0.035, 0.02])
    sway = size * np.sin(phase[None] + rate[None] * times[:, None, None]).mean(2)
    np.random.seed(seed)  # the renderer takes its camera noise from numpy's global state
    pictures, exact = [], []
    for mixed, pose in zip([{}, *weights], [np.zeros(3), *sway], strict=True):
        pictures.append(renderer.frame(mixed, pose=tuple(pose)))
        pivot = np.array([0, -9.5, -1.0])  # of the renderer's neck
        exact.append((renderer.vp[renderer.lm68] - pivot) @ heads.rot(*pose) + pivot)
    face = max(landmarker.find_faces(pictures[0]), key=lambda face: face.size_px)
    points = landmarker.landmarks(pictures[0], face).points
    landmarks = [points]
    for picture in pictures[1:]:
        points = landmarker.landmarks_near(picture, points)
        landmarks.append(points)
    return RenderedTalker(seed, np.stack(pictures), np.stack(landmarks), np.stack(exact).astype(np.float32), clip.key)


def rendered_talkers(
    cache: Path, renderer: Path | None, data: Path, count: int, first_seed: int = FIRST_SEED, split: str = "val"
) -> list[RenderedTalker]:
    """People of `count` seeds in a row, rendered if not in `cache` yet; [] where there is no renderer.

    split: of the utterances they speak.
    """
    cache.mkdir(parents=True, exist_ok=True)
    found: list[RenderedTalker] = []
    heads, drawing = None, None
    with fast_landmarker() as landmarker:
        for seed, clip in enumerate(utterances(data, count, split), first_seed):
            path = cache / f"talker_{seed}.npz"
            if not path.is_file():
                if renderer is None:
                    return found
                if heads is None:
                    heads = load_heads(renderer)
                    drawing = heads.Renderer(PICTURE_PX, SUPERSAMPLING)
                made = render_talker(heads, drawing, seed, clip, landmarker)
                write_npz(path, {"pictures": made.pictures, "landmarks": made.landmarks, "exact": made.exact})
            with np.load(path) as stored:
                found.append(RenderedTalker(seed, stored["pictures"], stored["landmarks"], stored["exact"], clip.key))
    return found


def rendered_photos(cache: Path, renderer: Path | None, seeds: range, size_px: int = 512) -> list[np.ndarray]:
    """A photo at rest of each seed's person, (size, size, 3) uint8, cached; [] where there is no renderer."""
    path = cache / f"photos_{seeds.start}_{seeds.stop}_{size_px}.npz"
    if not path.is_file():
        if renderer is None:
            return []
        cache.mkdir(parents=True, exist_ok=True)
        heads = load_heads(renderer)
        drawing = heads.Renderer(size_px, SUPERSAMPLING)
        photos = []
        for seed in seeds:
            random = np.random.default_rng(seed)
            drawing.set_identity(heads.sample_cfg(seed, drawing))
            np.random.seed(seed)
            photos.append(drawing.frame({}, pose=tuple(random.normal(0, [0.03, 0.06, 0.02]))))
        write_npz(path, {"photos": np.stack(photos)})
    with np.load(path) as stored:
        return list(stored["photos"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.data.rendered_people", description=__doc__.split("\n\n")[0])
    parser.add_argument("--renderer", type=Path, required=True, help="folder with heads.py")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"), help="folder with speech/")
    parser.add_argument("--out", type=Path, default=Path("cache/rendered_people"))
    parser.add_argument("--people", type=int, default=10)
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    try:
        for talker in rendered_talkers(options.out, options.renderer, Path(options.data_root), options.people):
            print(talker.name, talker.utterance)
    except VoxcamError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
