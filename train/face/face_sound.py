"""Faces by sound alone: the shipped encoder, shaper and generator against the people who really said it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engines.encoder import Encoder
from engines.face.landmarker import Landmarker
from engines.face.measure import lid_opening, mouth_measures
from engines.generator import Generator
from engines.motion.laws import WITH_OPENING
from engines.motion.reach import MOUTH, at_times
from engines.portrait import Portrait
from engines.shaper import Shaper
from engines.spec import SPEC, SPEECH_CHANNELS
from train.data.augment import with_noise
from train.data.corpora import Clip, grid, noise, sound_of, speech
from train.face.face_score import HEAD, MOST_LAG, Driven, Truth, align, score_drawn, summarise, sync_lag
from train.motion.heard import hear, shaped_motion

CLEAN = "clean"
CONDITIONS = ((CLEAN, 80), (CLEAN, 0), ("10 dB", 80), ("10 dB", 0), ("0 dB", 80), ("0 dB", 0))
LEVELS_DB = {"10 dB": 10.0, "0 dB": 0.0}
SEED = 7
EVERY = 3  # pictures between those compared where no course over time is needed
JAW = [SPEECH_CHANNELS.index(name) for name in ("jawOpen", "jawDrop", "mouthOpenSide")]
MOOD_ROWS = ("browInnerUp", "browDown", "mouthSmileLeft", "mouthSmileRight", "mouthStretch", "jawOpen")


def driven_codes(driven: Driven, motion: np.ndarray, offset_s: float = 0.0) -> np.ndarray:
    """Codes for each of a clip's pictures: the sound's, with the head's true angles and no shift of the head.

    offset_s: how late the clip's pictures are against its sound, which the camera is to blame for.
    """
    codes = at_times(motion, driven.times_s - offset_s).astype(np.float32)
    codes[:, HEAD : HEAD + 5] = driven.codes[:, HEAD : HEAD + 5]
    return codes


class SoundJudge:
    """Scores clips by sound; keeps the encoder, a shaper a lookahead, noises, and what it found."""

    def __init__(self, encoder: Encoder, landmarker: Landmarker, data: Path) -> None:
        self.encoder, self.landmarker = encoder, landmarker
        self.shapers = {ms: Shaper(SPEC, ms, SEED) for ms in (80, 0)}
        held_out = [c for c in noise(data / "noise") if c.split == "val" and c.noise_class != "babble"]
        self.noises = [sound_of(clip.sound) for clip in held_out]
        self.random = np.random.default_rng(SEED)

    def codes(self, driven: Driven, samples: np.ndarray, offset_s: float) -> dict[tuple[str, int], np.ndarray]:
        """(condition, lookahead) -> codes (T, 26)."""
        found = {}
        for condition in dict.fromkeys(name for name, _ in CONDITIONS):
            sound = samples
            if condition in LEVELS_DB:
                recording = self.noises[int(self.random.integers(len(self.noises)))]
                sound = with_noise(samples, recording, LEVELS_DB[condition], self.random)
            rows = hear(self.encoder, sound)
            for name, ms in CONDITIONS:
                if name == condition:
                    found[name, ms] = driven_codes(driven, shaped_motion(rows, ms, self.shapers[ms]), offset_s)
        return found

    def score(
        self,
        driven: Driven,
        truth: Truth,
        samples: np.ndarray,
        other: np.ndarray,
        offset_s: float,
        with_network: Generator,
        closed_form: Generator,
    ) -> dict[str, dict[str, np.ndarray]]:
        """Row name -> numbers by picture; `other`: another sound of the same kind, `truth` of every picture."""
        rows = {}
        for (condition, ms), codes in self.codes(driven, samples, offset_s).items():
            every = 1 if condition == CLEAN else EVERY
            rows[f"{condition}, {ms} ms"] = score_drawn(
                driven, truth, codes, with_network, self.landmarker, every, pixels=condition == CLEAN and ms == 80
            )
            if (condition, ms) == (CLEAN, 80):
                rows["closed form, clean, 80 ms"] = score_drawn(
                    driven, truth, codes, closed_form, self.landmarker, EVERY, pixels=True
                )
        shuffled = shaped_motion(hear(self.encoder, other), 80, self.shapers[80])
        codes = driven_codes(driven, shuffled, offset_s)
        rows["another clip's sound, 80 ms"] = score_drawn(
            driven, truth, codes, with_network, self.landmarker, EVERY, pixels=True
        )
        return rows


def pieced_codes(driven: Driven, heard: np.ndarray, labelled: np.ndarray | None) -> dict[str, np.ndarray]:
    """What sound could do at best: codes (T, 26) with truth in place of a part of what was heard, by name.

    heard (T, 26): by sound; labelled (T, 26): the labeller's, which hears the whole clip before it says anything.
    """
    alone, rest = heard.copy(), driven.codes.copy()
    alone[:, :MOUTH] = driven.codes[:, :1] * WITH_OPENING[:MOUTH]
    rest[:, JAW] = heard[:, JAW]
    pieced = {"the true opening, all else along GRID's mean": alone, "opening and jaw by sound, all else true": rest}
    return pieced if labelled is None else {"the labeller, not causal": labelled} | pieced


def sync_of(clips: list[dict[str, np.ndarray]]) -> dict[str, object]:
    """Mean lag (pictures, positive: drawn comes late) and r by lag over clips."""
    lags, curves = zip(*(sync_lag(clip["open_drawn"], clip["open_true"]) for clip in clips), strict=True)
    known = np.array([lag for lag in lags if np.isfinite(lag)])
    return {
        "lag": float(known.mean()) if len(known) else float("nan"),
        "lag_largest": float(np.abs(known).max()) if len(known) else float("nan"),
        "within_one": float((np.abs(known) <= 1).mean()) if len(known) else float("nan"),
        "r_by_lag": [float(value) for value in np.nanmean(np.stack(curves), 0)],
        "lags": list(range(-MOST_LAG, MOST_LAG + 1)),
    }


def summarise_rows(found: dict[str, list[dict[str, np.ndarray]]]) -> dict[str, dict]:
    """Row name -> means, and the lag of rows that were compared at every picture."""
    result: dict[str, dict] = {}
    for name, clips in found.items():
        result[name] = summarise(clips)
        if name.startswith(CLEAN):
            result[name]["sync"] = sync_of(clips)
    return result


def emotional_streams(data: Path, most_s: float = 20.0) -> list[tuple[str, np.ndarray]]:
    """EMO-DB's held-out speakers: all sentences of one mood and speaker in a row, at most `most_s`; (mood, samples)."""
    kept: dict[tuple[str, str], list[np.ndarray]] = {}
    for clip in speech(data / "speech"):
        if clip.corpus == "emodb" and clip.split == "val":
            kept.setdefault((clip.speaker, clip.emotion or ""), []).append(sound_of(clip.sound))
    most = int(most_s * SPEC.sample_rate_hz)
    return [(mood, np.concatenate(sounds)[:most]) for (_, mood), sounds in sorted(kept.items())]


def mood_changes(
    data: Path, portrait: Portrait, generator: Generator, encoder: Encoder, landmarker: Landmarker
) -> dict[str, dict[str, float]]:
    """Mood of the voice -> what `auto` shows that `off` doesn't, read on pictures drawn once a second from 4 s on.

    Lengths in eye distances; lids as a share of open; shown: share of codes that `auto` changes.
    """
    auto, off = (Shaper(SPEC, 80, 0, idle=False, emotion=emotion) for emotion in ("auto", "off"))
    channels = [SPEECH_CHANNELS.index(name) for name in MOOD_ROWS]
    found: dict[str, list[dict[str, float]]] = {}
    for mood, samples in emotional_streams(data):
        rows = hear(encoder, samples)
        with_mood, without = shaped_motion(rows, 80, auto)[200:], shaped_motion(rows, 80, off)[200:]
        readings = []
        for motion in (with_mood, without):
            pictures = [generator.draw(code, portrait) for code in motion[::50]]
            readings.append(align(np.stack([landmarker.landmarks_near(p, portrait.landmarks) for p in pictures])))
        change = mouth_measures(readings[0]).mean(0) - mouth_measures(readings[1]).mean(0)
        values = {name: float(change[c]) for name, c in zip(MOOD_ROWS, channels, strict=True)}
        values["lids open"] = float(lid_opening(readings[0]).mean() / lid_opening(readings[1]).mean() - 1)
        values["shown"] = float((np.abs(with_mood - without).max(1) > 0.01).mean())
        found.setdefault(mood, []).append(values)
    return {
        mood: {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        for mood, rows in sorted(found.items())
    }


def grid_sounds(data: Path, talker: str) -> dict[str, Clip]:
    """Clip name -> Clip of one GRID val talker."""
    clips = grid(data / "grid")
    return {clip.sound.stem: clip for clip in clips if clip.split == "val" and clip.speaker == f"grid/{talker}"}
