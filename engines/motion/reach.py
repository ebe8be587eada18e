"""Reach: how far a person moves each part of the mouth, against what the encoder says of everybody.

Sound tells well when a mouth opens and hardly how far: of ten GRID talkers one opens two thirds as wide as the encoder
says, another one and a half times, and corners and rolls of the lips differ more (`python -m train.motion.reach`). A
photo doesn't tell either. A few seconds of the person's own speech on video do: one factor for each of the mouth's
channels, which the shaper multiplies with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.errors import InputError
from engines.spec import SPEC, SPEECH_CHANNELS

MOUTH = SPEECH_CHANNELS.index("browInnerUp")  # channels of the mouth, the first of SPEECH_CHANNELS
OPEN = SPEECH_CHANNELS.index("jawOpen")
# What fits most people: mean over nine GRID talkers of the train split, of `fit_reach` with the opening's taken as 1,
# both corners alike. The encoder's own scale was set so that each channel's slope against a stranger's truth is 1,
# which for channels that sound tells badly is more than real mouths move: the lips' edges went 1.2 to 1.4 times as far
# apart as the gap between them, where in every real mouth the two are one (docs/motion.md); with this, 1.0 to 1.15.
TYPICAL_REACH = np.array([1.0, 0.76, 1.0, 0.91, 0.80, 1.0, 0.82, 0.76, 0.76, 0.63, 0.99])
LEAST, MOST = 0.3, 2.5  # beyond these it is no person but a mistake
TOWARDS_TYPICAL = 0.2  # of the sound's variance, added: what a short clip does not tell stays as with most people
MOST_OFFSET_S, OFFSET_STEP_S = 0.3, 0.02  # that a clip's pictures may lie away from its sound
LEAST_SPEECH_S = 2.0
LEAST_R = 0.4  # of opening heard and seen; strangers have .7 to .9, another clip's sound .3
FOLDS = 4
WORSE = 1.05  # an opening of the right size may cost so much distance where sound tells its course badly


@dataclass(frozen=True, slots=True)
class Reach:
    """What a clip told: factors (11,) by channel of the mouth, and how sure that is."""

    factors: np.ndarray
    spoken_s: float  # of pictures in which the voice moves the mouth
    offset_ms: float  # how late the pictures are against the sound
    r: float  # of the opening heard and seen
    apart_typical: float  # distance of heard and seen mouths as a share of the seen ones' motion, with TYPICAL_REACH
    apart: float  # the same with factors that were learned on other parts of the clip

    @property
    def helps(self) -> bool:
        """False where other parts of the clip are drawn worse: it was no steady speech, or not this person's."""
        return self.apart < WORSE * self.apart_typical


def fit_reach(heard: np.ndarray, seen: np.ndarray, towards: float = TOWARDS_TYPICAL) -> np.ndarray:
    """Factors (11,) for mouths heard (T, 11), as the encoder says, and seen (T, 11), both in eye distances.

    Least squares about the means, so that neither needs to know the other's rest, channel by channel, drawn towards
    TYPICAL_REACH by `towards`; then all times one factor, half of the way (in decibels) to an opening that varies as
    much as the seen one: least squares alone shrink what sound tells badly, and a mouth that does too little looks
    dull; all the way, what sound tells wrongly is as large as what it tells rightly.
    """
    heard, seen = heard - heard.mean(0), seen - seen.mean(0)
    variance = (heard**2).mean(0) + 1e-9
    factors = ((heard * seen).mean(0) + towards * variance * TYPICAL_REACH) / (variance * (1 + towards))
    louder = seen[:, OPEN].std() / max(float((heard[:, OPEN] * factors[OPEN]).std()), 1e-6)
    return np.clip(factors * louder**0.5, LEAST, MOST)


def apart(heard: np.ndarray, seen: np.ndarray) -> float:
    """Mean distance of two courses (T, 11) about their means, as a share of the second one's motion."""
    heard, seen = heard - heard.mean(0), seen - seen.mean(0)
    return float(np.linalg.norm(heard - seen, axis=1).mean() / max(np.linalg.norm(seen, axis=1).mean(), 1e-6))


def at_times(codes: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Codes (K, n), 50 a second, at times (T,), between two codes if need be: (T, n)."""
    middles = (np.arange(len(codes)) + 0.5) / SPEC.codes_per_second
    return np.stack([np.interp(times_s, middles, channel) for channel in codes.T], 1)


def is_spoken(heard: np.ndarray) -> np.ndarray:
    """Where the shaper's gate is open, (T,), of what it makes of a sound, (T, 11)."""
    return np.abs(heard).max(1) > 1e-4


def learn_reach(codes: np.ndarray, measures: np.ndarray, times_s: np.ndarray) -> Reach:
    """What a clip tells of a person's reach; InputError where it tells nothing.

    codes (K, n): motion that a shaper of reach 1, without idle life and emotion, makes of the clip's sound;
    measures (T, 14): `mouth_measures` of its pictures, NaN where no face was; times_s (T,) of the pictures' middles.
    """
    known = np.isfinite(measures).all(1)
    times_s, seen = times_s[known], measures[known, :MOUTH].astype(float)
    if len(times_s) < 2:
        raise InputError("it shows no face", "give a clip that shows your face from the front while you speak")

    def spoken_at(offset_s: float) -> tuple[np.ndarray, np.ndarray]:
        heard = at_times(codes[:, :MOUTH], times_s - offset_s)
        return heard, is_spoken(heard)

    spoken_s = float(spoken_at(0.0)[1].sum() * np.median(np.diff(times_s)))
    if spoken_s < LEAST_SPEECH_S:
        raise InputError(
            f"it holds {spoken_s:.1f} s of speech with a face to see", "give one in which you speak for ten seconds"
        )
    best_r, offset_s = -1.0, 0.0
    for step in range(-round(MOST_OFFSET_S / OFFSET_STEP_S), round(MOST_OFFSET_S / OFFSET_STEP_S) + 1):
        heard, spoken = spoken_at(step * OFFSET_STEP_S)
        a, b = heard[spoken, OPEN], seen[spoken, OPEN]
        r = float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-6 else 0.0
        if r > best_r:
            best_r, offset_s = r, step * OFFSET_STEP_S
    if best_r < LEAST_R:
        raise InputError(
            f"its mouth does not move with its sound (r {best_r:.2f})",
            "give one in which you alone speak, and are seen",
        )
    heard, spoken = spoken_at(offset_s)
    heard, seen = heard[spoken], seen[spoken]
    fold = np.arange(len(heard)) * FOLDS // len(heard)
    before = after = 0.0
    for number in range(FOLDS):
        held = fold == number
        own = fit_reach(heard[~held], seen[~held])
        before += apart(heard[held] * TYPICAL_REACH, seen[held]) / FOLDS
        after += apart(heard[held] * own, seen[held]) / FOLDS
    return Reach(fit_reach(heard, seen), spoken_s, offset_s * 1e3, best_r, before, after)
