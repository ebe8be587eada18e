"""How well lips follow a voice: the measures behind `voxcam train score motion`, and the gain that it judges.

Truth is FaceMesh on GRID val, raw, a picture each 40 ms, in eye distances from the clip's rest, the talker's
sound/picture offset taken off. A picture's guess is the mean of its two codes, known once the picture has ended and the
lookahead has passed: r is at lag 0. "In words" is between the first word's start and the last one's end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from engines.errors import ConfigError
from engines.spec import SPEC, SPEECH_CHANNELS
from engines.whole_file import write_npz
from train.data.corpora import VOWELS, Clip, grid, noise, sound_of, speech
from train.data.labeller import LabellerConfig, finish, label, teach
from train.data.motion_labels import OPEN, PICTURE_S, landmarks_of, picture_measures
from train.data.shards import read_shards
from train.speech.export import encoder_of
from train.speech.streams import encode

PICTURES = 75
OPEN_AT = 0.035  # eye distances: above it GRID's real mouths are open in .67 of speech and .15 of silence
CLOSED_AT = 0.025
COURSES = "labeller.npz"  # in the cache: the labeller's motion of val
STEADY_S = 0.1  # least length of a vowel that counts as steady


Three = list[float]  # a figure for each lookahead


@dataclass(frozen=True, slots=True)
class Take:
    """One val clip: sound, true motion (75, 14), the pictures inside words, times of p, b, m."""

    clip: Clip
    sound: np.ndarray
    truth: np.ndarray
    words: np.ndarray
    closures: list[tuple[float, float]]
    silence: np.ndarray


def three(of: Callable[[int], float]) -> Three:
    """A figure for each lookahead."""
    return [round(float(of(ms)), 4) for ms in SPEC.lookaheads_ms]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two courses; 0 where one stands still."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else 0.0


def takes(
    data_root: Path,
    landmarks_root: Path,
    offsets_s: dict[str, float],
    split: str = "val",
    speakers: Sequence[str] | None = None,
    every: int = 1,
) -> list[Take]:
    """GRID's clips of a split that have landmarks and words: of these speakers alone, each `every`-th alone."""
    found = []
    passed = 0
    times = (np.arange(PICTURES) + 0.5) * PICTURE_S
    for clip in grid(data_root / "grid"):
        if clip.split != split or clip.words is None or (speakers is not None and clip.speaker not in speakers):
            continue
        points = landmarks_of(clip, landmarks_root)
        if points is None or len(points) != PICTURES:
            continue
        passed += 1
        if (passed - 1) % every:
            continue
        raw = picture_measures(points)
        known = np.isfinite(raw).all(1)
        shifted = times + offsets_s.get(clip.speaker, 0.0)
        truth = np.stack([np.interp(shifted, times[known], column[known]) for column in raw.T], 1)
        truth[:, OPEN] = np.maximum(truth[:, OPEN], 0)
        spoken = [(start, end) for start, end, word in clip.words if word not in ("sil", "sp")]
        first, last = spoken[0][0], spoken[-1][1]
        closures = [
            (start, end)
            for start, end, phone in clip.phones or ()
            if phone in ("P", "B", "M") and start > first - 0.01 and end < 2.9
        ]
        sound = np.zeros(PICTURES * 640, np.float32)
        heard = sound_of(clip.sound)[: len(sound)]
        sound[: len(heard)] = heard
        found.append(
            Take(
                clip,
                sound,
                truth,
                (times >= first) & (times <= last),
                closures,
                (times < first - 0.2) | (times > last + 0.3),
            )
        )
    return found


def pictures_of(codes: np.ndarray) -> np.ndarray:
    """(150, ...) codes -> (75, ...) pictures."""
    return codes[: 2 * PICTURES].reshape(-1, 2, *codes.shape[1:]).mean(1)


def r_of(guesses: list[np.ndarray], found: list[Take], channel: int = OPEN, words: bool = True) -> float:
    """Mean over clips of Pearson's r of guesses (75,) with the truth's channel."""
    values = []
    for guess, take in zip(guesses, found, strict=True):
        part = take.words if words else np.ones(PICTURES, bool)
        values.append(correlation(guess[part], take.truth[part, channel]))
    return float(np.mean(values))


class Spoken(Protocol):
    """What a slope is taken against: true motion (T, channels), and which of its pictures lie within words, (T,)."""

    @property
    def truth(self) -> np.ndarray: ...
    @property
    def words(self) -> np.ndarray: ...


def slope_of(guesses: Sequence[np.ndarray], found: Sequence[Spoken], channel: int = OPEN) -> float:
    """Slope of the guess against the truth, in words, all clips' pictures about their clip's mean."""
    product = square = 0.0
    for guess, take in zip(guesses, found, strict=True):
        a, b = guess[take.words], take.truth[take.words, channel]
        product += float(((a - a.mean()) * (b - b.mean())).sum())
        square += float(((b - b.mean()) ** 2).sum())
    return product / square


def talker_offsets(cache: Path) -> dict[str, float]:
    """How late each GRID talker's pictures are against the others', s; {} where `voxcam train prepare` has not run."""
    path = cache / "speech.json"
    return json.loads(path.read_text())["offsets_s"] if path.is_file() else {}


def held_out_noises(data_root: Path, babble: bool = False) -> list[tuple[str, np.ndarray]]:
    """(class, recording) of the noises that were never trained on."""
    return [
        (clip.noise_class or "", sound_of(clip.sound))
        for clip in noise(data_root / "noise")
        if clip.split == "val" and (clip.noise_class == "babble") == babble
    ]


def closed_at(guess_codes: np.ndarray, take: Take) -> list[bool]:
    """For each p, b, m: does the opening (150,) fall below CLOSED_AT within 40 ms of it?"""
    times = (np.arange(len(guess_codes)) + 0.5) * SPEC.code_s
    return [
        bool(guess_codes[(times >= start - 0.04) & (times <= end + 0.04)].min() < CLOSED_AT)
        for start, end in take.closures
    ]


def jitter(course: np.ndarray, take: Take) -> float:
    """Mean absolute second difference over pictures in words."""
    return float(np.abs(np.diff(course[take.words], 2)).mean())


def steady_vowels(course: np.ndarray, take: Take) -> float:
    """Mean absolute second difference at the pictures inside vowels of STEADY_S and more; 0 where a clip has none."""
    times = (np.arange(1, PICTURES - 1) + 0.5) * PICTURE_S
    inside = np.zeros(PICTURES - 2, bool)
    for start, end, phone in take.clip.phones or ():
        if phone in VOWELS and end - start >= STEADY_S:
            inside |= (times >= start + 0.02) & (times <= end - 0.02)
    return float(np.abs(np.diff(course, 2))[inside].mean()) if inside.any() else 0.0


def baselines(
    found: list[Take], train: list[Take], snr_sounds: dict[str, list[np.ndarray]]
) -> dict[str, dict[str, float]]:
    """r in words and over whole clips of what doesn't need a network, taught on GRID train where it needs teaching."""
    from train.speech.vae import LogMel

    mel_of = LogMel()

    def mels(sound: np.ndarray) -> np.ndarray:
        before = np.zeros(SPEC.window_samples - SPEC.hop_samples, np.float32)
        padded = torch.from_numpy(np.concatenate([before, sound]))[None]
        return mel_of(padded)[0].numpy().reshape(PICTURES, 4, SPEC.mel_bands).mean(1)

    def window(mel: np.ndarray) -> np.ndarray:
        """Five pictures of 40 bands up to now, each clip's level taken off causally."""
        bands = mel.reshape(PICTURES, 40, 2).mean(2)
        level = np.cumsum(bands, 0) / np.arange(1, PICTURES + 1)[:, None]
        padded = np.concatenate([np.repeat(bands[:1], 4, 0), bands]) - np.concatenate(
            [np.repeat(level[:1], 4, 0), level]
        )
        return np.concatenate([padded[lag : lag + PICTURES] for lag in range(5)] + [np.ones((PICTURES, 1))], 1)

    mean_course = np.mean([take.truth[:, OPEN] for take in train], 0)
    x = np.concatenate([window(mels(take.sound)) for take in train])
    y = np.concatenate([take.truth[:, OPEN] for take in train])
    ridge = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)

    def loudness(sound: np.ndarray) -> np.ndarray:
        level = np.log(np.sqrt((sound.reshape(PICTURES, -1) ** 2).mean(1)) + 1e-4)
        return np.convolve(level, (0.5, 0.3, 0.2))[:PICTURES]

    def three_bands(sound: np.ndarray) -> np.ndarray:
        power = np.exp(mels(sound) * 4 - 5)
        bands = np.stack(
            [np.log(part.mean(1) + 1e-4) for part in (power[:, 2:16], power[:, 16:32], power[:, 32:60])], 1
        )
        return bands @ np.array([0.6, 0.3, -0.1])

    rows: dict[str, dict[str, float]] = {}
    for name, guess in (
        ("deaf: mean course of other clips", lambda _sound: mean_course),
        ("smoothed loudness", loudness),
        ("three band energies", three_bands),
        ("causal ridge, 5 pictures of 40 log-mels", lambda sound: window(mels(sound)) @ ridge),
    ):
        rows[name] = {}
        for condition, sounds in snr_sounds.items():
            guesses = [guess(sound) for sound in sounds]
            rows[name][condition] = r_of(guesses, found)
            if condition == "clean":
                rows[name]["whole clip"] = r_of(guesses, found, words=False)
    return rows


def labeller_courses(
    cache: Path, found: list[Take], say: Callable[[str], None] = lambda _text: None
) -> dict[str, np.ndarray]:
    """The labeller's motion (codes, 14) of each take by key, in units of the talker's scale: not causal, the ceiling.

    It is taught anew, as prepared: on GRID train, from the teacher's features; its answer is kept in `cache`.
    """
    wanted = {take.clip.key for take in found}
    mark = labels_mark(cache)
    if (kept := kept_courses(cache)) is not None and wanted <= set(kept):
        return {key: kept[key] for key in wanted}
    features, targets, talker_of = {}, {}, {}
    for key, arrays in read_shards(cache / "labels"):
        corpus, split, talker = (*key.split("/"), "", "")[:3]
        if corpus == "grid" and split == "train":
            targets[key], talker_of[key] = arrays["motion"].astype(np.float32), f"grid/{talker}"
    for key, arrays in read_shards(cache / "teacher"):
        if key in wanted or key in targets:
            features[key] = next(iter(arrays.values()))
    config = LabellerConfig()
    total = config.nets * config.steps

    def progress(step: int) -> None:
        if step % config.steps == 0:
            say(f"labeller, step {step} of {total}")

    nets, standard = teach(features, targets, talker_of, config, progress)
    heard = label(nets, standard, {key: features[key] for key in sorted(wanted)})
    courses = {key: finish(motion) for key, motion in heard.items()}
    write_npz(cache / COURSES, {"mark": np.array(mark)} | courses, compressed=False)
    return courses


def labels_mark(cache: Path) -> str:
    """What the labeller learns from: the labels' version, and its own form."""
    version = json.loads((cache / "labels" / "index.json").read_text())["version"]
    return json.dumps([version, asdict(LabellerConfig())], sort_keys=True)


def kept_courses(cache: Path) -> dict[str, np.ndarray] | None:
    """What `labeller_courses` kept of these labels, by key; None where there is nothing."""
    if not (cache / COURSES).is_file():
        return None
    with np.load(cache / COURSES, allow_pickle=False) as file:
        return None if str(file["mark"]) != labels_mark(cache) else {k: file[k] for k in file.files if k != "mark"}


def kept_motion(cache: Path) -> dict[str, np.ndarray]:
    """The same as motion of a typical person, (codes, 14) eye distances by key; {} where nothing is kept."""
    courses = kept_courses(cache)
    if courses is None:
        return {}
    prepared = json.loads((cache / "speech.json").read_text())
    scale = np.array(prepared["typical"]) * np.array(prepared["labeller_gain"])
    return {key: course * scale for key, course in courses.items()}


def amplitude_gain(
    checkpoint: Path, calibration: Path, data_root: Path, landmarks_root: Path, cache: Path, target: float = 1.0
) -> np.ndarray:
    """Gain (14,) that brings the slope against a stranger's truth to `target`, at 80 ms.

    On talkers that were trained on the slope would flatter. So: the slope that `calibration`, a short run that left
    four GRID train talkers out (train/configs/calibration.toml), has on them, each in his own scale and weighing the
    same; times how much larger the slope of `checkpoint` is than the short run's, against the labeller on LibriSpeech
    speakers that neither was taught on. Between 1 and 1.5; 1 where sound hardly tells of strangers (r < .4).
    """
    short, facts = encoder_of(calibration)
    left_out = facts["config"]["leave_out"]
    if not left_out:
        raise ConfigError(f"{calibration} was trained on every talker", "use a run of train/configs/calibration.toml")
    prepared = json.loads((cache / "speech.json").read_text())
    typical = np.array(prepared["typical"])
    found = takes(data_root, landmarks_root, prepared["offsets_s"], "train", left_out)
    motion = [pictures_of(each["motion"]) for each in encode(short, [take.sound for take in found])]
    grown = labelled_slope(encoder_of(checkpoint)[0], data_root, cache) / labelled_slope(short, data_root, cache)
    gain = np.ones(len(SPEECH_CHANNELS), np.float32)
    for c in range(len(gain)):
        r, slope = [], []
        for talker in left_out:
            pairs = [(guess[:, 2, c], t) for guess, t in zip(motion, found, strict=True) if t.clip.speaker == talker]
            guesses, of_talker = [guess for guess, _ in pairs], [t for _, t in pairs]
            r.append(r_of(guesses, of_talker, c))
            slope.append(slope_of(guesses, of_talker, c) * prepared["scales"][talker][c] / typical[c])
        if np.mean(r) > 0.4:
            gain[c] = np.clip(target / (np.mean(slope) * grown[c]), 1.0, 1.5)
    for same in (("jawOpen", "mouthOpenSide"), ("mouthSmileLeft", "mouthSmileRight")):  # one lip, one face: one gain
        places = [SPEECH_CHANNELS.index(name) for name in same]
        gain[places] = gain[places].mean()
    return gain


def labelled_slope(encoder, data_root: Path, cache: Path) -> np.ndarray:
    """Slope (14,) against the labeller's motion, on LibriSpeech's val speakers."""
    typical = np.array(json.loads((cache / "speech.json").read_text())["typical"])
    clips = {c.key: c for c in speech(data_root / "speech") if c.corpus == "librispeech" and c.split == "val"}
    labels = {k: a["motion"].astype(np.float32) * typical for k, a in read_shards(cache / "labels") if k in clips}
    product, square = np.zeros(len(typical)), np.zeros(len(typical))
    for out, truth in zip(
        encode(encoder, [sound_of(clips[key].sound) for key in labels]), labels.values(), strict=True
    ):
        length = min(len(truth), len(out["motion"]))
        a, b = out["motion"][:length, 2], truth[:length]
        a, b = a - a.mean(0), b - b.mean(0)
        product += (a * b).sum(0)
        square += (b * b).sum(0)
    return product / square
