"""Trials of the motion (docs/decisions.md).

    python -m train.motion.trials labels --data-root DATA --cache CACHE --landmarks LANDMARKS
    python -m train.motion.trials lead --checkpoint RUN/last.safetensors --calibration RUN/last.safetensors ...
    python -m train.motion.trials length --landmarks LANDMARKS
    python -m train.motion.trials known --data-root DATA --cache CACHE --landmarks LANDMARKS

labels: how much landmarks are smoothed before they teach. One net of the labeller for each deviation, four talkers left
out, judged by their raw landmarks as in train/motion/score_motion.py.

lead: how much of the change over the last two codes is added to the motion (engines/motion/laws.py). Talkers left out
of the calibration run by that short run, and the final encoder's own talkers.

length: how the deviation of each channel goes with the length from nose to chin, talker by talker (not shipped).

known: what is to be had at all. The labeller, which hears the future, is taught half of a val talker's clips beside all
training talkers, and tells the other half. Nothing of it is shipped; the other trials use training talkers alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engines.face.measure import canonical_face, mouth_measures, remove_pose, rest_measures
from engines.spec import SPEECH_CHANNELS
from train.data.augment import with_noise
from train.data.corpora import Clip, training_speech
from train.data.labeller import LabellerConfig, label, teach
from train.data.motion_labels import OPEN, clip_motion, landmarks_of, talker_scales
from train.data.prepare import CALIBRATION_TALKERS
from train.data.shards import read_shards
from train.data.teacher import VERSION as TEACHER_VERSION
from train.motion.score_motion import (
    PICTURES,
    Take,
    held_out_noises,
    jitter,
    pictures_of,
    r_of,
    slope_of,
    takes,
    talker_offsets,
)
from train.speech.export import encoder_of
from train.speech.streams import encode

WIDTH = SPEECH_CHANNELS.index("mouthStretch")
SMOOTHINGS = (1.0, 0.7, 0.5, 0.35)
LEADS = (0.0, 0.15, 0.3, 0.45, 0.6)
EVERY = 12  # of the own talkers' clips
LEAST_CLIPS, MOST_CLIPS = 9, 20  # of a talker
NOSE_TIP, CHIN = 1, 152  # landmarks


def judge(guesses: Sequence[np.ndarray], found: Sequence[Take]) -> str:
    """Guesses (150, channels) at codes against the raw pictures."""
    pictures = [pictures_of(guess) for guess in guesses]
    opening = [each[:, OPEN] for each in pictures]
    rough = [jitter(o, take) / jitter(take.truth[:, OPEN], take) for o, take in zip(opening, found, strict=True)]
    figures = {
        "in words": r_of(opening, list(found)),
        "whole": r_of(opening, list(found), words=False),
        "width": r_of([each[:, WIDTH] for each in pictures], list(found), WIDTH),
        "slope": slope_of(opening, list(found)),
        "jitter": float(np.mean(rough)),
    }
    return " | ".join(f"{name} {value:.3f}" for name, value in figures.items())


def padded(codes: np.ndarray) -> np.ndarray:
    """To 150 codes, the last one repeated."""
    return np.pad(codes, ((0, max(0, 2 * PICTURES - len(codes))), (0, 0)), mode="edge")


def training_clips(data_root: Path) -> dict[str, Clip]:
    """GRID's training clips by key."""
    return {c.key: c for c in training_speech(data_root) if c.corpus == "grid" and c.split == "train"}


def features_of(cache: Path, keys: Container[str]) -> dict[str, np.ndarray]:
    """What the teacher hears in these clips, by key."""
    return {key: arrays["features"] for key, arrays in read_shards(cache / "teacher", TEACHER_VERSION) if key in keys}


def told_by_labeller(
    features: dict[str, np.ndarray],
    taught: dict[str, np.ndarray],
    talker_of: dict[str, str],
    scales: dict[str, np.ndarray],
    config: LabellerConfig,
    found: Sequence[Take],
) -> list[np.ndarray]:
    """Motion (150, channels) of takes, by a labeller that is taught these labels, eye distances, by key."""
    targets = {key: (value / scales[talker_of[key]]).astype(np.float32) for key, value in taught.items()}
    nets, standard = teach(features, targets, talker_of, config)
    guesses = label(nets, standard, {take.clip.key: features[take.clip.key] for take in found})
    return [padded(guesses[take.clip.key] * scales[take.clip.speaker]) for take in found]


def try_labels(
    data_root: Path, cache: Path, landmarks_root: Path, smoothings: Sequence[float], say: Callable[[str], None] = print
) -> None:
    """Teach the labeller on labels smoothed so much, and say how well it tells talkers left out."""
    offsets = talker_offsets(cache)
    clips = training_clips(data_root)
    features = features_of(cache, clips)
    landmarks = {k: points for k, c in clips.items() if (points := landmarks_of(c, landmarks_root)) is not None}
    talker_of = {key: clip.speaker for key, clip in clips.items()}
    found = takes(data_root, landmarks_root, offsets, "train", CALIBRATION_TALKERS)
    for smoothing in smoothings:
        truth = {
            key: clip_motion(points, len(features[key]), offsets.get(talker_of[key], 0.0), smoothing)
            for key, points in landmarks.items()
        }
        scales, _ = talker_scales(truth, talker_of)
        taught = {key: value for key, value in truth.items() if talker_of[key] not in CALIBRATION_TALKERS}
        heard = told_by_labeller(features, taught, talker_of, scales, replace(LabellerConfig(), nets=1), found)
        say(f"smoothed by {smoothing} pictures | {judge(heard, found)}")


def try_known(data_root: Path, cache: Path, landmarks_root: Path, say: Callable[[str], None] = print) -> None:
    """Say how well the labeller tells one half of a val talker's clips when it has been taught the other half, too."""
    offsets = talker_offsets(cache)
    people = takes(data_root, landmarks_root, offsets, "val")
    clips = training_clips(data_root) | {take.clip.key: take.clip for take in people}
    features = features_of(cache, clips)
    talker_of = {key: clip.speaker for key, clip in clips.items()}
    truth = {
        key: clip_motion(points, len(features[key]), offsets.get(talker_of[key], 0.0))
        for key, clip in clips.items()
        if (points := landmarks_of(clip, landmarks_root)) is not None
    }
    for talker in sorted({take.clip.speaker for take in people}):
        own = [take for take in people if take.clip.speaker == talker]
        heard, found = [], []
        for known, told in ((own[::2], own[1::2]), (own[1::2], own[::2])):
            of_known = {take.clip.key for take in known}
            taught = {key: truth[key] for key in truth if clips[key].split == "train" or key in of_known}
            scales, _ = talker_scales(taught, talker_of)
            heard += told_by_labeller(features, taught, talker_of, scales, LabellerConfig(), told)
            found += told
        say(f"{talker} | {len(found)} clips, each told by who knows half of the others | {judge(heard, found)}")


def led(motion: np.ndarray, lead: float) -> np.ndarray:
    """Motion (codes, channels) plus `lead` times the change over the last two codes."""
    before = np.concatenate([np.repeat(motion[:1], 2, 0), motion[:-2]])
    return motion + lead * (motion - before)


def try_lead(
    data_root: Path,
    cache: Path,
    landmarks_root: Path,
    checkpoint: Path,
    calibration: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Say what each lead does to the short run's strangers and the final encoder's own talkers, clean and in noise."""
    offsets = talker_offsets(cache)
    noises = held_out_noises(data_root)
    short, facts = encoder_of(calibration)
    groups = (
        ("short run, talkers left out", short, facts["config"]["leave_out"], 1),
        ("final, its own talkers", encoder_of(checkpoint)[0], None, EVERY),
    )
    for who, encoder, speakers, every in groups:
        found = takes(data_root, landmarks_root, offsets, "train", speakers, every)
        draw = np.random.default_rng(0)
        noisy = [with_noise(t.sound, noises[k % len(noises)][1], 5, draw) for k, t in enumerate(found)]
        for condition, sounds in (("clean", [take.sound for take in found]), ("5 dB", noisy)):
            motions = [each["motion"] for each in encode(encoder, sounds)]
            for row, ms in enumerate((0, 40, 80)):
                for lead in LEADS:
                    heard = judge([led(motion[:, row], lead) for motion in motions], found)
                    say(f"{who} | {condition} | {ms} ms | lead {lead} | {heard}")


def try_length(landmarks_root: Path, say: Callable[[str], None] = print) -> None:
    """Say how well the length of the lower face tells a channel's deviation, also that of a talker left out."""
    lengths, deviations = [], []
    for talker in sorted((landmarks_root / "grid" / "train").iterdir()):
        clips = sorted(talker.glob("*.npy"))[:MOST_CLIPS]
        if len(clips) < LEAST_CLIPS:
            continue
        rest, spread = [], []
        for clip in clips:
            points = np.load(clip)
            aligned, *_ = remove_pose(points[np.isfinite(points).all((1, 2))], canonical_face())
            measures = mouth_measures(aligned)
            closed = aligned[measures[:, OPEN] <= np.quantile(measures[:, OPEN], 0.25)].mean(0)
            rest.append(closed[CHIN, 1] - closed[NOSE_TIP, 1])
            spread.append((measures - rest_measures(measures)).var(0))
        lengths.append(np.log(np.mean(rest)))
        deviations.append(0.5 * np.log(np.mean(spread, 0) + 1e-9))
        say(f"{talker.name} | nose to chin {np.exp(lengths[-1]):.3f} | opening {np.exp(deviations[-1][OPEN]):.3f}")
    length, deviation = np.array(lengths), np.array(deviations)
    say(f"{len(length)} talkers | typical length {np.exp(length.mean()):.3f}")
    for c, name in enumerate(SPEECH_CHANNELS):
        by_mean, by_power, powers = [], [], []
        for left_out in range(len(length)):
            others = np.arange(len(length)) != left_out
            x, y = length[others] - length[others].mean(), deviation[others, c] - deviation[others, c].mean()
            powers.append((x * y).sum() / (x * x).sum())
            by_mean.append(deviation[left_out, c] - deviation[others, c].mean())
            by_power.append(by_mean[-1] - powers[-1] * (length[left_out] - length[others].mean()))
        r = np.corrcoef(length, deviation[:, c])[0, 1]
        off = [float(np.sqrt(np.mean(np.square(errors)))) for errors in (by_mean, by_power)]
        say(f"{name} | r {r:.2f} | power {np.mean(powers):.1f} | off by {off[0]:.2f}, with the length {off[1]:.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.motion.trials", description=__doc__.split("\n\n")[0])
    parser.add_argument("trial", choices=("labels", "lead", "length", "known"))
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"))
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("VOXCAM_CACHE", "cache")))
    parser.add_argument("--landmarks", type=Path, required=True)
    parser.add_argument("--smoothing", type=float, nargs="+", default=SMOOTHINGS, help="deviations in pictures")
    parser.add_argument("--checkpoint", type=Path, help="of lead: the final encoder's")
    parser.add_argument("--calibration", type=Path, help="of lead: a run of train/configs/calibration.toml")
    options = parser.parse_args(arguments)
    if options.trial == "length":
        return try_length(options.landmarks)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    data = (Path(options.data_root), options.cache, options.landmarks)
    if options.trial == "labels":
        try_labels(*data, options.smoothing)
    elif options.trial == "known":
        try_known(*data)
    elif options.checkpoint and options.calibration:
        try_lead(*data, options.checkpoint, options.calibration)
    else:
        parser.error("lead takes --checkpoint and --calibration")


if __name__ == "__main__":
    main()
