"""What the generator's network learns from: pairs of a portrait and another picture of the same person.

Every pair is seen in the network's crop (engines/portrait.py, CROP_*): the closed form's picture, the truth, where each
pixel came from, where it lies between the lips. Sources: GRID clips (real speech, in runs of pictures with the clip's
log-mel), closed mouth -> smile (real, sharp), rendered heads (wide mouths, all skins). Written as one npz a portrait,
so that preparing can be cut off and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from engines.drawing.geometry import ease
from engines.drawing.layers import LINE
from engines.drawing.mouth import bent_place
from engines.errors import ConfigError, InputError
from engines.face.measure import canonical_face, lid_opening, mouth_measures, remove_pose
from engines.face_points import LOWER_SEAM, UPPER_SEAM
from engines.generator import BLINK, Generator, invert, trace_pair
from engines.portrait import CROP_SIZE_PX, Portrait, crop_to_photo, make_portrait
from engines.spec import MODEL_CHANNELS, MOTION_CHANNELS, SPEC, SPEECH_CHANNELS
from engines.whole_file import write_npz
from train.data.corpora import sound_of
from train.face.adversaries import RUN
from train.face.face_score import bring_to_pose, closure, drive
from train.speech.vae import LogMel

GRID_CLIPS = 44  # of a talker at most
GRID_RUNS = 4  # of a clip, each of adversaries.RUN pictures
HELD_CLIPS = 4  # of a talker who is left out
PICTURE_HOPS = 4  # hops of log-mel in the 40 ms of a GRID picture


def vary_teeth(portrait: Portrait, seed: int) -> Portrait:
    """The same person with somewhat other teeth, so that the network does not learn to mend one drawn row."""
    random = np.random.default_rng(seed)
    place = portrait.teeth_place + np.array([[random.normal(0, 0.01), random.normal(0, 0.012), 0]] * 2)
    tint = np.append(np.exp(random.normal(0, 0.12) + random.normal(0, 0.02, 3)), 1).astype(np.float32)
    stretch = random.normal(1, 0.06)
    upper: np.ndarray = portrait.upper_teeth * tint
    width = upper.shape[1]
    matrix = np.array([[stretch, 0, (1 - stretch) * (width - 1) / 2], [0, 1, 0]])
    upper = cv2.warpAffine(upper, matrix, upper.shape[1::-1], flags=cv2.INTER_LINEAR)
    return replace(portrait, teeth_place=place, upper_teeth=upper, lower_teeth=portrait.lower_teeth * tint)


def pair_sample(generator: Generator, portrait: Portrait, code: np.ndarray, truth: np.ndarray) -> dict:
    """One target in the crop: drawn, truth (96, 120, 3) uint8, source (96, 120, 2), mouth (96, 120, 3) float16.

    source: crop px that the warp fetched; mouth: alpha, place along and across the lips (0..1).
    """
    drawn = generator.draw(code, portrait)
    scratch = generator.scratch_of(portrait)
    scale = float(portrait.scale[0])
    to_photo = crop_to_photo(portrait.rotation, scale, portrait.translation)
    height, width = CROP_SIZE_PX
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    photo_x = to_photo[0, 0] * x + to_photo[0, 1] * y + to_photo[0, 2]
    photo_y = to_photo[1, 0] * x + to_photo[1, 1] * y + to_photo[1, 2]
    grid_x = ((photo_x - portrait.box[0] - 1.5) / 4).astype(np.float32)
    grid_y = ((photo_y - portrait.box[1] - 1.5) / 4).astype(np.float32)
    shift = cv2.remap(scratch.maps.shift, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    back = invert(to_photo)
    from_x, from_y = photo_x + shift[..., 0], photo_y + shift[..., 1]
    source = np.stack(
        [
            back[0, 0] * from_x + back[0, 1] * from_y + back[0, 2],
            back[1, 0] * from_x + back[1, 1] * from_y + back[1, 2],
        ],
        -1,
    )

    def cut(picture: np.ndarray) -> np.ndarray:
        sigma = 0.35 * scale / 48
        soft = cv2.GaussianBlur(picture, (0, 0), sigma) if scale > 48 else picture
        return cv2.remap(
            soft, photo_x.astype(np.float32), photo_y.astype(np.float32), cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )

    return {
        "code": code[: len(MODEL_CHANNELS)].astype(np.float32),
        "drawn": cut(drawn),
        "truth": cut(truth),
        "source": source.astype(np.float16),
        "mouth": mouth_place(portrait, scratch.moved, photo_x, photo_y).astype(np.float16),
    }


def mouth_place(portrait: Portrait, moved: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cover, places along and across the lips of photo px (h, w), as engines/drawing/mouth.py has them; (h, w, 3)."""
    scale = float(portrait.scale[0])
    lips = trace_pair(moved[list(UPPER_SEAM)], moved[list(LOWER_SEAM)], scale, np.zeros((2, LINE)))
    origin, along, across, ends, *lines = lips
    soft = (0.6 + 0.8 * float(portrait.blur_px[0])) / scale + 0.004
    u = (x - origin[0]) * along[0] + (y - origin[1]) * along[1]
    v = (x - origin[0]) * across[0] + (y - origin[1]) * across[1]
    place = (u - ends[0]) / (ends[1] - ends[0])
    bent = np.vectorize(bent_place)(place)
    top, bottom = (np.interp(bent, np.linspace(0, 1, LINE), line) for line in lines)

    def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
        return ease((value - low) / (high - low))

    cover = ramp(np.minimum(v - top, bottom - v), -0.35 * soft, soft) * ramp(bottom - top, 0.15 * soft, 1.6 * soft)
    cover = np.where((place > 0) & (place < 1), cover, 0)
    return np.stack([cover, np.clip(place, 0, 1), np.clip((v - top) / np.maximum(bottom - top, 1e-3), 0, 1)], -1)


def write_portrait(path: Path, portrait: Portrait, samples: list[dict], sound: dict | None = None) -> None:
    """One portrait's pairs and what is known of their sound, beside and renamed."""
    arrays = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]} | (sound or {})
    arrays |= {name: getattr(portrait, name) for name in ("crop", "tones", "shape")}
    write_npz(path, {"mask": portrait.skin_mask, **arrays}, compressed=False)


def choose_runs(opening: np.ndarray, without: int, count: int, random: np.random.Generator) -> list[int]:
    """First pictures of at most `count` runs that do not overlap, half of them in proportion to the opening.

    opening (T,); `without`: a picture that is in no run.
    """
    begins = np.arange(len(opening) - RUN + 1)
    free = (begins > without) | (begins + RUN <= without)
    weight = np.array([max(opening[k : k + RUN].mean(), 0) + 0.02 for k in begins])
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        chance = free * (weight if len(chosen) % 2 else 1.0)
        chosen.append(int(random.choice(begins, p=chance / chance.sum())))
        free &= np.abs(begins - chosen[-1]) >= RUN
    return chosen


def log_mel(clip: Path, pictures: int) -> np.ndarray:
    """Log-mel of a clip's sound, PICTURE_HOPS rows for each of its pictures, (hops, 80) float16."""
    samples = pictures * PICTURE_HOPS * SPEC.hop_samples + SPEC.window_samples - SPEC.hop_samples
    sound = sound_of(clip)[:samples]
    sound = np.pad(sound, (0, samples - len(sound)))
    with torch.no_grad():
        return LogMel()(torch.from_numpy(sound)[None])[0].numpy().astype(np.float16)


def grid_samples(
    clip: Path, landmarks: Path, generator: Generator, runs: int, seed: int
) -> tuple[Portrait, list[dict], dict] | None:
    """`runs` runs of pictures of one clip, its log-mel (`mel`) and each run's first picture (`begins`)."""
    driven = drive(clip, landmarks)
    if driven is None:
        return None
    random = np.random.default_rng(seed)
    begins = choose_runs(driven.codes[:, 0], driven.first, runs, random)
    driven.portrait = vary_teeth(driven.portrait, seed)
    samples = [
        pair_sample(generator, driven.portrait, driven.codes[k], driven.truth[k])
        for begin in begins
        for k in range(begin, begin + RUN)
    ]
    return driven.portrait, samples, {"mel": log_mel(clip, len(driven.codes)), "begins": np.array(begins)}


def still_samples(
    pictures: np.ndarray, landmarks: np.ndarray, generator: Generator, eyes_px: float | None = None
) -> tuple[Portrait, list[dict], dict] | None:
    """Stills of one person, the first at rest: pictures (n, H, W, 3), landmarks (n, 478, 3) px."""
    if not np.isfinite(landmarks).all():
        return None
    canonical = canonical_face()
    if eyes_px is not None:
        _, _, scales, _ = remove_pose(landmarks[:1], canonical)
        shrink = eyes_px / float(scales[0])
        if shrink < 1:
            sides = pictures.shape[1:3]
            size = (round(sides[1] * shrink), round(sides[0] * shrink))
            pictures = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
            landmarks = landmarks * np.array([size[0] / sides[1], size[1] / sides[0], size[0] / sides[1]], np.float32)
    aligned, *_ = remove_pose(landmarks, canonical)
    measures = mouth_measures(aligned)
    if measures[0, 0] > 0.03:
        return None
    portrait = make_portrait(pictures[0], landmarks[0], max_side_px=4096)
    lids = lid_opening(aligned)
    codes = np.zeros((len(pictures), len(MOTION_CHANNELS)), np.float32)
    codes[:, : len(SPEECH_CHANNELS)] = measures - measures[0]
    codes[:, BLINK : BLINK + 2] = closure(lids, lids[0])
    codes[0] = 0
    truth, _ = bring_to_pose(pictures, landmarks, codes, portrait, 0, smooth=False)
    portrait = vary_teeth(portrait, int(landmarks[0, 0, 0] * 1000))
    return portrait, [pair_sample(generator, portrait, codes[k], truth[k]) for k in range(1, len(pictures))], {}


def head_samples(head: Path, generator: Generator) -> tuple[Portrait, list[dict], dict] | None:
    """Stills of one rendered person, an npz of train/data/render_heads.py."""
    with np.load(head, allow_pickle=False) as stored:
        return still_samples(stored["pictures"], stored["landmarks"], generator)


def spread(talker: Path, most: int) -> list[Path]:
    """At most `most` clips of a talker, evenly spread."""
    clips = sorted(talker.glob("*.mkv"))
    return [clips[k] for k in np.unique(np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int))]


def read_rgb(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path} is not a picture that can be read", "copy the data set again")
    return picture[..., ::-1].copy()


def prepare(
    data: Path, landmarks: Path, heads: Path | None, out: Path, held_out: Sequence[str] = (), runs: int = GRID_RUNS
) -> Iterator[str]:
    """Write every portrait's samples into `out`, those that are there already left alone; yields their names.

    held_out: GRID talkers nobody learns from; a few of their clips are written as kind `held`. What an earlier run
    wrote of a talker as the other kind is removed.
    """
    train = data / "grid" / "train"
    talkers = sorted(path for path in train.iterdir() if path.is_dir()) if train.is_dir() else []
    if unknown := set(held_out) - {talker.name for talker in talkers}:
        known = ", ".join(talker.name for talker in talkers) or f"there are none in {train}"
        raise ConfigError(f"no talker is called {', '.join(sorted(unknown))}", f"--held-out takes one of {known}")
    out.mkdir(parents=True, exist_ok=True)
    for path in [*out.glob("grid_*.npz"), *out.glob("held_*.npz")]:
        kind, _, name = path.stem.partition("_")
        left_out = name.startswith(tuple(f"{talker}_" for talker in held_out))
        if (kind == "held") != left_out:
            path.unlink()
    generator = Generator()
    jobs: list[tuple[str, Callable[[], tuple[Portrait, list[dict], dict] | None]]] = []
    for smile in sorted((data / "faces" / "london").glob("*_smile.jpg")):
        neutral = smile.with_name(smile.name.replace("smile", "neutral"))

        def pair(smile: Path = smile, neutral: Path = neutral) -> tuple[Portrait, list[dict], dict] | None:
            points = np.stack([np.load(landmarks / "faces" / f"{path.stem}.npy") for path in (neutral, smile)])
            return still_samples(np.stack([read_rgb(neutral), read_rgb(smile)]), points, generator, eyes_px=72)

        jobs.append((f"smile_{smile.stem}", pair))
    for head in sorted(heads.glob("[0-9]*.npz")) if heads else []:

        def rendered(head: Path = head) -> tuple[Portrait, list[dict], dict] | None:
            return head_samples(head, generator)

        jobs.append((f"head_{head.stem}", rendered))
    clips = [
        clip for talker in talkers for clip in spread(talker, HELD_CLIPS if talker.name in held_out else GRID_CLIPS)
    ]
    for number, clip in enumerate(clips):

        def spoken(clip: Path = clip, number: int = number) -> tuple[Portrait, list[dict], dict] | None:
            points = landmarks / "grid" / "train" / clip.parent.name / f"{clip.stem}.npy"
            return grid_samples(clip, points, generator, runs, number)

        kind = "held" if clip.parent.name in held_out else "grid"
        jobs.append((f"{kind}_{clip.parent.name}_{clip.stem}", spoken))
    for name, job in jobs:
        path = out / f"{name}.npz"
        if not path.exists():
            made = job()
            if made is None or not made[1]:
                continue
            write_portrait(path, *made)
        yield name
