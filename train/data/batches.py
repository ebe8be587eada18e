"""Batches of a step: drawn by (seed, step) alone, so that a resumed run sees what an uninterrupted one would."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.spec import EMOTIONS, SPEC, SPEECH_CHANNELS
from train.data.augment import Augment, AugmentConfig
from train.data.corpora import Clip, noise, sound_of, training_speech
from train.data.lively import BREATH, retell
from train.data.motion_labels import smooth
from train.data.prepare import COMPONENTS, STYLE
from train.data.shards import read_shards

Batch = dict[str, torch.Tensor]
CHUNK = SPEC.chunk_samples
# Cries: nobody knows their mood, but that it is not laughter's; otherwise they are heard as that.
NOT_HAPPY = np.array([0.3 if name == "neutral" else 0.14 * (name != "happiness") for name in EMOTIONS], np.float32)
EASING_CODES = 2.0  # lips come to laughter and back within this deviation
CORPORA = ("grid", "tts", "librispeech", "emodb")
MOTION_WEIGHT = {"grid": 1.0, "tts": 0.4, "librispeech": 0.5, "emodb": 0.3}  # pictures, or the labeller's word


@dataclass(frozen=True, slots=True)
class BatchConfig:
    grid: int = 7  # rows of each kind
    tts: int = 7
    librispeech: int = 4
    emodb: int = 4
    again: int = 4  # rows of the above once more, with other noise: for consistency
    alone: int = 6  # noise, babble, silence: nobody speaks
    codes: int = 150
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def rows(self) -> int:
        return self.grid + self.tts + self.librispeech + self.emodb + self.again + self.alone


@dataclass(frozen=True, slots=True)
class Item:
    """A clip in memory; arrays as in train/data/prepare.py. NaN in motion, components or style: nobody could tell."""

    clip: Clip
    sound: np.ndarray
    phones: np.ndarray
    presence: np.ndarray
    motion: np.ndarray
    components: np.ndarray
    mood: np.ndarray
    style: np.ndarray


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that batches are drawn from."""

    items: dict[str, list[Item]]  # by corpus, one split
    speakers: tuple[str, ...]
    noise_classes: tuple[str, ...]  # index 0 is none
    noises: dict[str, list[np.ndarray]]
    rooms: np.ndarray


def load(data_root: Path, cache: Path, split: str = "train", leave_out: tuple[str, ...] = ()) -> Corpus:
    """Read prepared shards of one split, speakers left out, and the noises of the same split."""
    clips = {clip.key: clip for clip in training_speech(data_root)}
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for name in ("sound", "labels", "style"):
        for key, found in read_shards(cache / name):
            if clips[key].split == split and clips[key].speaker not in leave_out:
                arrays.setdefault(key, {}).update(found)
    with np.load(cache / "moods.npz", allow_pickle=False) as file:
        moods = dict(zip(file["keys"].tolist(), file["values"], strict=True))
    nothing = np.zeros(len(EMOTIONS), np.float32)
    items: dict[str, list[Item]] = {}
    for key, found in arrays.items():
        item = Item(clip=clips[key], mood=moods.get(key, nothing), **found)
        items.setdefault(item.clip.corpus, []).append(item)
    noises: dict[str, list[np.ndarray]] = {}
    for clip in noise(data_root / "noise"):
        if clip.split == split and clip.noise_class:
            noises.setdefault(clip.noise_class, []).append(sound_of(clip.sound))
    with np.load(data_root / "noise" / "rir.npz", allow_pickle=False) as file:
        rooms = file["rir"]
    return Corpus(
        items=items,
        speakers=tuple(sorted({clip.speaker for clip in clips.values() if clip.split == "train"})),
        noise_classes=("", *sorted({*noises, "babble", "music", "breath"})),
        noises=noises,
        rooms=rooms,
    )


class Batches(torch.utils.data.IterableDataset):
    """Endless batches from `first` on; row r of step s has the seed (seed, s, r).

    A DataLoader's workers each hold a copy and are asked in turn: each makes every so many-th step.
    """

    def __init__(self, corpus: Corpus, config: BatchConfig, seed: int, first: int = 0) -> None:
        super().__init__()
        self.corpus, self.config, self.seed, self.first = corpus, config, seed, first
        voices = [item.sound.astype(np.float32) / 32767 for item in corpus.items.get("librispeech", [])[::2]]
        voices += [item.sound.astype(np.float32) / 32767 for item in corpus.items.get("tts", [])[::12]]
        self.augment = Augment(corpus.noises, corpus.rooms, voices, config.augment)
        self.chance = {}
        for name, items in corpus.items.items():
            count: dict[str, int] = {}
            for item in items:
                count[item.clip.speaker] = count.get(item.clip.speaker, 0) + 1
            weight = np.array([1 / np.sqrt(count[item.clip.speaker]) for item in items])
            self.chance[name] = weight / weight.sum()
        self.speaker_index = {name: index for index, name in enumerate(corpus.speakers)}
        self.noise_index = {name: index for index, name in enumerate(corpus.noise_classes)}

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        own, of = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for step in itertools.count(self.first + own, of):
            yield self.batch(step)

    def batch(self, step: int) -> Batch:
        config = self.config
        places = [(name, number) for name in CORPORA for number in range(getattr(config, name))]
        rows = [
            self._speech(*each, (self.seed, step, row), (self.seed, step, row, 1)) for row, each in enumerate(places)
        ]
        pairs = np.random.default_rng((self.seed, step)).permutation(len(rows))[: config.again]
        for row in map(int, pairs):  # the same clip, place and pitch; other noise
            rows.append(self._speech(*places[row], (self.seed, step, row), (self.seed, step, row, 2)))
        for _ in range(config.alone):
            rows.append(self._alone((self.seed, step, len(rows))))
        batch = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
        batch["pairs"] = torch.from_numpy(pairs.astype(np.int64))
        return batch

    def _speech(self, name: str, number: int, seed: tuple[int, ...], noise_seed: tuple[int, ...]) -> dict[str, Any]:
        """A corpus's row of this number: where, which clip and its pitch by `seed`, all else by `noise_seed`."""
        draw = np.random.default_rng(seed)
        codes = self.config.codes
        items = self.corpus.items[name]
        item = items[int(draw.choice(len(items), p=self.chance[name]))]
        if name == "emodb" and number % 2:  # every second row has the mood of the row before it: for ranking
            row_before = np.random.default_rng((*seed[:2], seed[2] - 1))
            mood = items[int(row_before.choice(len(items), p=self.chance[name]))].clip.emotion
            alike = np.array([item.clip.emotion == mood for item in items]) * self.chance[name]
            item = items[int(draw.choice(len(items), p=alike / alike.sum()))]
        speed = 1.0
        if self.config.augment.lively and draw.random() < self.config.augment.lively:
            item = livelier(item, codes, draw)
        elif draw.random() < self.config.augment.pitch:
            speed = float(draw.uniform(1 - self.config.augment.pitch_range, 1 + self.config.augment.pitch_range))
        stretch = 1.0
        if self.config.augment.vocal_tract and draw.random() < self.config.augment.vocal_tract:
            reach = self.config.augment.vocal_tract_range
            stretch = float(draw.uniform(1 - reach, 1 + reach))
        have = len(item.phones)
        need = min(have, int(np.ceil(codes * speed)))
        start = int(draw.integers(0, have - need + 1))
        sound = item.sound[start * CHUNK : (start + need) * CHUNK].astype(np.float32) / 32767
        at = np.arange(min(codes, int(need / speed)), dtype=np.float64)
        if speed != 1.0:
            places = np.arange(len(at) * CHUNK, dtype=np.float64) * speed
            sound = np.interp(places, np.arange(len(sound)), sound).astype(np.float32)
        nearest = np.minimum(start + (((at + 0.5) * speed).astype(int)), have - 1)
        before = int(draw.integers(0, codes - len(at) + 1))  # shorter clips lie anywhere, in silence

        def place(values: np.ndarray, fill: float) -> np.ndarray:
            out = np.full((codes, *values.shape[1:]), fill, np.float32)
            out[before : before + len(at)] = values[nearest]
            return out

        clean = np.zeros(codes * CHUNK, np.float32)
        clean[before * CHUNK : before * CHUNK + len(sound)] = sound[: len(at) * CHUNK]
        heard = self.augment.speech(clean, np.random.default_rng(noise_seed))
        presence = place(item.presence, 0)
        known = bool((item.phones >= 0).all())
        phones = place(item.phones, 0) if known else np.full(codes, -1, np.float32)
        muted = heard.muted
        inside = place(np.ones(have, np.float32), 0)
        motion, components, style = place(item.motion, 0), place(item.components, 0), place(item.style, 0)
        taught = float(np.isfinite(item.motion).all()), float(np.isfinite(item.components).all())
        styled = np.float32(np.isfinite(item.style).all())
        motion, components, style = np.nan_to_num(motion), np.nan_to_num(components), np.nan_to_num(style)
        if muted.any():
            presence[muted] = 0
            phones[muted] = 0
            inside[muted] = 0
            keep = np.convolve(np.pad(1.0 - muted, 3, mode="edge"), np.ones(7) / 7, "valid")
            motion = motion * np.minimum(keep, 1)[:, None]
        return {
            "samples": heard.samples,
            "phones": phones.astype(np.int64),
            "presence": presence.astype(np.float32),
            "motion": motion.astype(np.float32),
            "motion_weight": np.float32(MOTION_WEIGHT[name] * taught[0]),
            "components": components.astype(np.float32),
            "components_known": inside * np.float32(taught[1]),
            "heard": inside,
            "style": style.astype(np.float32),
            "style_known": inside * styled,
            "mood": item.mood.astype(np.float32),
            "emotion": np.int64(EMOTIONS.index(item.clip.emotion) if item.clip.emotion else -1),
            "speaker": np.int64(self.speaker_index.get(item.clip.speaker, -1)),
            "gender": np.int64({"f": 0, "m": 1}.get(item.clip.gender or "", -1)),
            "noise": np.int64(self.noise_index.get(heard.noise_class, -1)),
            "snr_db": np.float32(heard.snr_db),
            "stretch": np.float32(stretch),
            "speech": np.float32(1),
        }

    def _alone(self, seed: tuple[int, ...]) -> dict[str, Any]:
        codes = self.config.codes
        heard = self.augment.alone(codes * CHUNK, np.random.default_rng(seed))
        return {
            "samples": heard.samples,
            "phones": np.zeros(codes, np.int64),
            "presence": np.zeros(codes, np.float32),
            "motion": np.zeros((codes, len(SPEECH_CHANNELS)), np.float32),
            "motion_weight": np.float32(1.0),
            "components": np.zeros((codes, COMPONENTS), np.float32),
            "components_known": np.zeros(codes, np.float32),
            "heard": np.zeros(codes, np.float32),
            "style": np.zeros((codes, STYLE), np.float32),
            "style_known": np.zeros(codes, np.float32),
            "mood": np.zeros(len(EMOTIONS), np.float32),
            "emotion": np.int64(-1),
            "speaker": np.int64(-1),
            "gender": np.int64(-1),
            "noise": np.int64(self.noise_index.get(heard.noise_class, -1)),
            "snr_db": np.float32(heard.snr_db),
            "stretch": np.float32(1),
            "speech": np.float32(0),
        }


def livelier(item: Item, most_codes: int, draw: np.random.Generator, kind: str | None = None) -> Item:
    """A stretch of the clip in a voice that no corpus has, or followed by laughter or cries (train/data/lively.py).

    Motion and phones are the clip's own, stretched along; in laughter the mouth stays about as open as in its vowel.
    Whose voice it is and how it is said nobody knows, but that laughter is happy and cries are not.
    """
    first = int(draw.integers(0, max(0, len(item.phones) - most_codes) + 1))
    part = slice(first, first + most_codes)
    sound = item.sound[first * CHUNK : (first + most_codes) * CHUNK]
    told = retell(sound.astype(np.float32) / 32767, item.phones[part], most_codes, draw, kind)
    spoken = (told.source >= 0)[:, None]
    at = np.maximum(told.source, 0).astype(int)
    middles = np.arange(len(item.phones[part])) + 0.5
    courses = [np.interp(told.source, middles, course) for course in item.motion[part].astype(np.float32).T]
    motion = np.where(spoken, np.stack(courses, 1), 0)
    known = np.isfinite(motion).all()
    if told.wordless.any() and known:
        breath = (told.phones == BREATH)[told.wordless]
        wide = draw.uniform(0.9, 1.3) * np.where(breath, draw.uniform(0.7, 1.0), 1.0)
        motion[told.wordless] *= np.convolve(np.pad(wide, 1, mode="edge"), np.ones(3) / 3, "valid")[:, None]
        made = np.convolve(told.wordless | ~spoken[:, 0], np.ones(7), "same") > 0
        motion = np.where(made[:, None], smooth(motion, EASING_CODES), motion)
    presence = np.where(spoken[:, 0], item.presence[part][at] | told.wordless, 0)
    components = item.components[part].astype(np.float32)[at]
    happy = told.laughs and 2 * told.wordless.sum() > spoken.sum()  # the label holds for the whole row
    return replace(
        item,
        clip=replace(item.clip, speaker="", gender=None, emotion="happiness" if happy else None),
        sound=(told.samples * 32767).astype(np.int16),
        phones=told.phones,
        presence=presence,
        motion=motion,
        components=np.full_like(components, np.nan) if told.wordless.any() else components,
        mood=NOT_HAPPY if told.wordless.any() and not told.laughs else np.zeros_like(item.mood),
        style=np.full((len(at), STYLE), np.nan, np.float32),
    )
