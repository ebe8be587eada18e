"""`voxcam bench robustness`: does the mouth follow speech in noise, and stay shut on noise alone?

Truth: the mouth of the clips, by our own landmarker. Each picture is judged with the sound up to its end, plus the
lookahead; delay counts, since r is taken at lag 0. Beside ours stand baselines that we can make ourselves:

    deaf         the mean course of the other talkers' clips: what can be had without any sound
    loudness     smoothed loudness
    three bands  energies of three bands, combined as fits the other talkers best
    ridge        ridge regression on five pictures of 40 log-mel bands, taught on the other talkers

The last two are taught on clips of the same kind, which favours them.

Several encoders, such as one that was trained without the disentangling terms, hear the same clips in the same noise:
their difference is taken clip by clip, and its standard error is far smaller than that of either figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bench.clips import LIPS, Clip
from bench.latency import Progress
from bench.noises import at_level, level_of, made_noises, mix, recorded_noises, room_level
from bench.rows import Row
from bench.systems import OPEN, Heard, System, deaf, loudness, ridge, three_bands, voxcam_system
from engines.drawing.geometry import load_geometry
from engines.encoder import open_encoder
from engines.errors import ConfigError
from engines.spec import SPEC, SPEECH_CHANNELS

SNRS_DB = (20.0, 10.0, 5.0, 0.0, -5.0)
SHIPPED = {"voxcam": "encoder"}  # name in the report -> card
OPEN_SHARE = 0.25  # of the way from a system's own 5th to its 95th percentile in clean speech: above counts as open
SETTLED_S = 0.3  # of noise, after which openness counts
STILL = "still photo"
BASELINES = ("deaf", "loudness", "three bands", "ridge", STILL)


def named_encoders(given: Sequence[str]) -> dict[str, str]:
    """NAME=CARD, or CARD alone, as typed -> name -> card; the shipped one where nothing is given."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, card = text.partition("=")
        if not equals or Path(text).exists():
            name, card = Path(text).name.removesuffix(".card.json"), text
            name = "voxcam" if text == "encoder" else name
        if not name or not card:
            raise ConfigError(f"--encoder {text} is not NAME=CARD", "such as --encoder without=runs/encoder.card.json")
        if name in found or name in BASELINES:
            raise ConfigError(f"two systems are called {name!r}", "give each encoder a name of its own: NAME=CARD")
        found[name] = card
    return found or dict(SHIPPED)


def measure_robustness(
    clips: list[Clip],
    lookaheads_ms: tuple[int, ...] = SPEC.lookaheads_ms,
    encoders: Mapping[str, str] = SHIPPED,
    noise: Path | None = None,
    teachers: list[Clip] | None = None,
    emotional: list[Clip] | None = None,
    snrs_db: tuple[float, ...] = SNRS_DB,
    seed: int = 7,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Rows of r (whole clip, in words), lip distance and openness on noise alone, by system and SNR.

    encoders: name in the report -> card. Behind the first one stand rows of what each other one differs from it by.
    teachers: clips to teach the baselines on; the other talkers' clips if left out. emotional: clips whose names tell
    an emotion, for rows of r by emotion; the clips themselves if left out.
    """
    noises = recorded_noises(noise) if noise is not None else made_noises(clips, seed)
    basis = load_geometry()[0][: len(SPEECH_CHANNELS)][:, LIPS]
    random = np.random.default_rng(seed)
    with ExitStack() as stack:
        systems: list[System] = []
        for name, card in encoders.items():
            heard = Heard(stack.enter_context(open_encoder(card)))
            systems += [voxcam_system(name, heard, lookahead) for lookahead in lookaheads_ms]
        systems += [deaf(clips), loudness(), three_bands(teachers or clips), ridge(teachers or clips)]
        scores = [Scores(system) for system in systems]
        for snr_db in (None, *snrs_db):
            progress(f"robustness: {len(clips)} clips {'clean' if snr_db is None else f'at {snr_db:g} dB'}")
            for k, clip in enumerate(clips):
                sound = clip.sound if snr_db is None else mix(clip.sound, noises[k % len(noises)][1], snr_db, random)
                for score in scores:
                    if snr_db is None or not score.system.deaf:
                        score.judge(clip, sound, "clean" if snr_db is None else f"{snr_db:g}", basis)
        progress(f"robustness: {len(noises)} noises with nobody speaking")
        hearing = [score for score in scores if not score.system.deaf]
        alone = _on_noise_alone(hearing, clips, noises, random)
        moods = _by_emotion(systems, emotional or clips)
    rows = [row for score in scores for row in score.rows(len(clips))]
    return [*rows, _static(clips), *_differences(scores), *alone, *moods]


class Scores:
    """What one system scores, clip by clip, for each signal-to-noise ratio."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.lists: dict[tuple[str, str], list[float]] = {}  # (SNR, score) -> a value for each clip
        self.clean: list[np.ndarray] = []  # openings of each clip in clean speech

    def judge(self, clip: Clip, sound: np.ndarray, snr: str, basis: np.ndarray) -> None:
        """Hear one clip and compare with its truth."""
        if self.system.motion is not None:
            motion = self.system.motion(clip, sound)
            guess = motion[:, OPEN]
            self._add(snr, "lip_distance", lip_distance(clip, clip.rest_lips + np.tensordot(motion, basis, 1)))
        else:
            guess = self.system.course(clip, sound)
        if snr == "clean":
            self.clean.append(guess)
        truth = clip.motion[:, OPEN]
        seen = np.isfinite(truth)
        self._add(snr, "r_all", correlation(guess[seen], truth[seen]))
        inside = seen & clip.in_words
        self._add(snr, "r_in_words", correlation(guess[inside], truth[inside]))
        self._add(snr, "swing", float(np.std(guess[inside]) / max(np.std(truth[inside]), 1e-6)))

    def _add(self, snr: str, score: str, value: float) -> None:
        self.lists.setdefault((snr, score), []).append(value)

    @property
    def open_above(self) -> float:
        """The opening that counts as open: a share of the way from shut to wide in clean speech."""
        shut, wide = np.quantile(np.concatenate(self.clean), (0.05, 0.95))
        return float(shut + OPEN_SHARE * (wide - shut))

    def rows(self, clips: int) -> list[Row]:
        found: list[Row] = []
        for snr in dict.fromkeys(snr for snr, _ in self.lists):
            whole, words = self.lists[snr, "r_all"], self.lists[snr, "r_in_words"]
            row: Row = {"measure": "mouth_opening", **self.system.about, "snr_db": snr, "clips": clips}
            row |= {"r_all": _mean(whole), "r_in_words": _mean(words), "r_in_words_error": _error(words)}
            row |= {"r_all_error": _error(whole), "unit": "r", **scored(words)}
            if distances := self.lists.get((snr, "lip_distance")):
                row |= {"lip_distance": _mean(distances), "lip_distance_error": _error(distances)}
                # Deviation over the true one: 1 opens as far as the person does.
                row["swing"] = _mean(self.lists[snr, "swing"])
            found.append(row)
        return found


def _differences(scores: list[Scores]) -> list[Row]:
    """What other encoders differ from the first one by: the first less the other, mean and error over clips."""
    ours = [score for score in scores if score.system.encoder]
    found: list[Row] = []
    for other in ours:
        first = next(score for score in ours if score.system.lookahead_ms == other.system.lookahead_ms)
        if first is other:
            continue
        of = f"{first.system.encoder} less {other.system.encoder}"
        for (snr, name), values in other.lists.items():
            if name == "swing":
                continue
            less = [a - b for a, b in zip(first.lists[snr, name], values, strict=True)]
            row: Row = {"measure": "difference", "of": of, "score": name, "snr_db": snr}
            found.append(row | {"lookahead_ms": other.system.lookahead_ms, "clips": len(less), **scored(less)})
    return found


def _static(clips: list[Clip]) -> Row:
    still = [lip_distance(clip, np.broadcast_to(clip.rest_lips, clip.lips.shape)) for clip in clips]
    return {
        "measure": "mouth_opening",
        "system": STILL,
        "snr_db": "clean",
        "clips": len(clips),
        "lip_distance": _mean(still),
        "lip_distance_error": _error(still),
    }


def _on_noise_alone(
    scores: list[Scores], clips: list[Clip], noises: list[tuple[str, np.ndarray]], random: np.random.Generator
) -> list[Row]:
    """Share of open pictures on noise at the level of speech, with nobody speaking, by kind of noise."""
    shares: dict[str, dict[str, list[float]]] = {score.system.name: {} for score in scores}
    open_above = {score.system.name: score.open_above for score in scores}

    def judge(clip: Clip, sound: np.ndarray, kind: str) -> None:
        for score in scores:
            course = score.system.course(clip, sound)[round(clip.picture_rate * SETTLED_S) :]
            shares[score.system.name].setdefault(kind, []).append(
                float((course > open_above[score.system.name]).mean())
            )

    for k, (kind, recording) in enumerate(noises):
        clip = clips[k % len(clips)]
        judge(clip, at_level(recording, level_of(clip.sound), len(clip.sound), random), kind)
    for clip in clips[:8]:
        room = random.standard_normal(len(clip.sound)).astype(np.float32) * room_level(clip.sound)
        judge(clip, room, "silence")
    rows: list[Row] = []
    for score in scores:
        own = shares[score.system.name]
        silence = own.pop("silence")
        rows += [_share_row(score.system, kind, values) for kind, values in own.items()]
        rows.append(_share_row(score.system, "all", [value for values in own.values() for value in values]))
        rows.append(_share_row(score.system, "silence", silence))
    return rows


def _share_row(system: System, kind: str, values: list[float]) -> Row:
    row: Row = {"measure": "open_on_noise_alone", **system.about, "noise": kind}
    return row | {"unit": "share", "count": len(values), **scored(values)}


def _by_emotion(systems: list[System], clips: list[Clip]) -> list[Row]:
    """r by emotion, where the clips' names tell one (CREMA-D's names do)."""
    found: dict[tuple[str, str], list[float]] = {}
    for clip in clips:
        truth = clip.motion[:, OPEN]
        seen = np.isfinite(truth) & clip.in_words
        for system in systems if clip.emotion else ():
            r = correlation(system.course(clip, clip.sound)[seen], truth[seen])
            found.setdefault((clip.emotion, system.name), []).append(r)
    rows: list[Row] = []
    for emotion in sorted({emotion for emotion, _ in found}):
        for system in systems:
            values = found[emotion, system.name]
            row: Row = {"measure": "mouth_opening_by_emotion", **system.about, "emotion": emotion}
            rows.append(row | {"unit": "r", "count": len(values), **scored(values)})
    return rows


def correlation(guess: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's r; 0 where one of both does not move."""
    if len(truth) < 3 or np.std(guess) < 1e-9 or np.std(truth) < 1e-9:
        return 0.0
    return float(np.corrcoef(guess, truth)[0, 1])


def lip_distance(clip: Clip, lips: np.ndarray) -> float:
    """Mean distance of 40 lip points from the true ones, head pose removed, seen from the front, in eye distances."""
    return float(np.nanmean(np.linalg.norm((lips - clip.lips)[..., :2], axis=-1)))


def scored(values: list[float]) -> Row:
    """Mean over clips, its standard error, and a band of two errors as a share of it."""
    mean, error = _mean(values), _error(values)
    return {"value": mean, "value_error": error, "spread": _relative(2 * error, mean)}


def _mean(values: list[float]) -> float:
    return round(float(np.nanmean(values)), 4)


def _error(values: list[float]) -> float:
    """Standard error of the mean over clips; 0 where one clip alone tells of none."""
    count = int(np.isfinite(values).sum())
    return round(float(np.nanstd(values, ddof=1) / np.sqrt(count)), 4) if count > 1 else 0.0


def _relative(band: float, value: float) -> float:
    """A band as a share of its value, as `spread` is everywhere."""
    return round(band / abs(value), 4) if value else 0.0
