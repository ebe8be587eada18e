"""Voices that corpora of calm speech lack: raised, drawn out, sung, growled, whispered; laughter and cries.

Made of their clips with the WORLD vocoder (Morise, Yokomori & Ozawa, 2016), which parts a voice into pitch, spectral
envelope and breath. Phones and motion are stretched along: `Retold.source` says where in the clip each new code comes
from. What is known of mood, style and speaker no longer holds (train/data/batches.py drops it), but that laughter
is happy.

Laughter as Bachorowski, Smoski & Owren measured it (J. Acoust. Soc. Am. 110, 2001): bouts of a few to a dozen calls, 4
to 7 a second, voiced ones at about twice the pitch of speech and falling, with breath between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyworld

from engines.spec import PHONES, SPEC
from train.data.augment import active_rms
from train.data.corpora import VOWELS

RATE = SPEC.sample_rate_hz
PERIOD_MS = 10.0
PER_CODE = 2  # rows of WORLD's a code
HIGHEST_HZ = 750.0
VOWEL = np.isin(PHONES, VOWELS)
HELD = VOWEL | np.isin(PHONES, ("M", "N", "L", "R"))  # what can be drawn out
KINDS = {"laughing": 0.24, "crying out": 0.20, "raised": 0.24, "sung": 0.16, "growled": 0.09, "whispered": 0.07}
SILENCE, BREATH = PHONES.index("SIL"), PHONES.index("HH")
SILENT_DB = -24.0  # against a voice at its loudest: below it the mouth between two cries comes to rest


@dataclass(frozen=True, slots=True)
class Voice:
    """pitch_hz (rows,), 0 where unvoiced; envelope, breath (rows, bins): a row every 10 ms."""

    pitch_hz: np.ndarray
    envelope: np.ndarray
    breath: np.ndarray


@dataclass(frozen=True, slots=True)
class Retold:
    """samples (320 n,) float32; source (n,): where in the clip, in codes, -1 for nowhere; phones (n,).

    wordless (n,) bool: laughter and cries; laughs: it is laughter.
    """

    samples: np.ndarray
    source: np.ndarray
    phones: np.ndarray
    wordless: np.ndarray
    laughs: bool = False


def analyse(samples: np.ndarray) -> Voice:
    """Pitch, envelope and breath of (n,) samples."""
    sound = samples.astype(np.float64)
    pitch, times = pyworld.dio(sound, RATE, f0_floor=60.0, f0_ceil=HIGHEST_HZ, frame_period=PERIOD_MS)
    pitch = pyworld.stonemask(sound, pitch, times, RATE)
    return Voice(pitch, pyworld.cheaptrick(sound, pitch, times, RATE), pyworld.d4c(sound, pitch, times, RATE))


def synthesise(voice: Voice, count: int) -> np.ndarray:
    """(count,) float32."""
    pitch, envelope, breath = (np.ascontiguousarray(t, float) for t in (voice.pitch_hz, voice.envelope, voice.breath))
    sound = pyworld.synthesize(pitch, envelope, breath, RATE, PERIOD_MS)
    return np.pad(sound, (0, max(0, count - len(sound))))[:count].astype(np.float32)


def read_at(voice: Voice, places: np.ndarray) -> Voice:
    """The voice at fractional rows."""
    below = np.clip(places.astype(int), 0, len(voice.pitch_hz) - 2)
    share = np.clip(places - below, 0, 1)[:, None]
    near = np.clip(np.rint(places).astype(int), 0, len(voice.pitch_hz) - 1)
    voiced = voice.pitch_hz > 0
    filled = np.zeros(len(voiced))
    if voiced.any():
        rows = np.arange(len(voiced))
        filled = np.interp(rows, rows[voiced], np.log(voice.pitch_hz[voiced]))
    pitch = np.where(voiced[near], np.exp(np.interp(places, np.arange(len(filled)), filled)), 0.0)
    lowest = np.log(voice.envelope + 1e-16)
    envelope = np.exp(lowest[below] * (1 - share) + lowest[below + 1] * share)
    breath = voice.breath[below] * (1 - share) + voice.breath[below + 1] * share
    return Voice(pitch, envelope, breath)


def slow_walk(count: int, every: int, draw: np.random.Generator) -> np.ndarray:
    """(count,) smooth noise of deviation about 1 with a new value every `every` rows."""
    knots = draw.standard_normal(count // every + 2)
    return np.interp(np.arange(count) / every, np.arange(len(knots)), knots)


def coloured(envelope: np.ndarray, tract: float, tilt_db: float) -> np.ndarray:
    """Formants `tract` times as high; tilt_db more an octave above 500 Hz (loud voices have flatter spectra)."""
    bins = envelope.shape[1]
    places = np.minimum(np.arange(bins) / tract, bins - 1)
    below = np.minimum(places.astype(int), bins - 2)
    share = places - below
    logs = np.log(envelope + 1e-16)
    moved = logs[:, below] * (1 - share) + logs[:, below + 1] * share
    octaves = np.log2(np.maximum(np.arange(bins) / (bins - 1) * RATE / 2, 500) / 500)
    return np.exp(moved + tilt_db * np.log(10) / 10 * octaves)


def runs(of: np.ndarray) -> list[tuple[int, int]]:
    """Starts and ends of runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], of.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def held_codes(phones: np.ndarray, voice: Voice) -> np.ndarray:
    """(codes,) bool: what can be drawn out; where no phones are known, whatever is voiced."""
    if (phones >= 0).all():
        return HELD[phones]
    return voice.pitch_hz[: len(phones) * PER_CODE : PER_CODE] > 0


def retell(
    samples: np.ndarray, phones: np.ndarray, most_codes: int, draw: np.random.Generator, kind: str | None = None
) -> Retold:
    """A stretch of speech in a livelier voice, or with laughter or cries behind it.

    samples (320 n,), phones (n,); most_codes: of what is made; kind: one of KINDS; without it, drawn.
    """
    kind = kind or str(draw.choice(list(KINDS), p=list(KINDS.values())))
    voice = analyse(samples)
    if not (voice.pitch_hz > 0).any():
        return Retold(samples.astype(np.float32), np.arange(len(phones)) + 0.5, phones, np.zeros(len(phones), bool))
    if kind in ("laughing", "crying out"):
        return beside_words(samples, phones, voice, most_codes, draw, kind == "laughing")
    return spoken(samples, phones, voice, most_codes, draw, kind)


def spoken(
    samples: np.ndarray, phones: np.ndarray, voice: Voice, most_codes: int, draw: np.random.Generator, how: str
) -> Retold:
    """All of it in another voice: raised (high, loud, lively, some vowels drawn out), sung, growled or whispered."""
    codes = len(phones)
    longer = np.full(codes, draw.uniform(0.85, 1.2))
    spans = runs(held_codes(phones, voice))
    for start, end in spans:
        if how == "sung":
            longer[start:end] *= draw.uniform(1.2, 4)
        elif how != "whispered" and draw.random() < 0.25:
            longer[start:end] *= draw.uniform(1.5, 2 + 50 / (end - start))
    ends = np.cumsum(longer)
    count = min(most_codes, max(1, int(ends[-1])))
    first = int(draw.integers(0, int(ends[-1]) - count + 1))

    def place(now: np.ndarray) -> np.ndarray:
        """Where in the clip, in codes, the new sound is at `now` codes."""
        return np.interp(first + now, np.concatenate([[0], ends]), np.arange(codes + 1))

    at = place(np.arange(count * PER_CODE + 1) / PER_CODE)
    said = read_at(voice, at * PER_CODE)
    voiced = said.pitch_hz > 0
    rows = len(at)
    pitch = np.where(voiced, said.pitch_hz, 1.0)
    centre = np.exp(np.log(voice.pitch_hz[voice.pitch_hz > 0]).mean())
    about = np.log(pitch / centre)
    breath, tract, tilt_db = said.breath, float(draw.uniform(0.95, 1.12)), 0.0
    if how == "raised":
        about = about * draw.uniform(0.6, 2.2) + np.log(2) * (draw.uniform(0.1, 1.3) + 0.15 * slow_walk(rows, 25, draw))
        tilt_db = draw.uniform(-1, 4)
    elif how == "sung":
        note = np.zeros(rows)
        higher = draw.uniform(-0.2, 1.2)
        for start, end in spans:  # a note a vowel, whole semitones from the voice's middle
            inside = (at >= start) & (at < end)
            note[inside] = np.rint(draw.normal(0, 3)) / 12
        note = np.convolve(np.pad(note, 4, mode="edge"), np.ones(9) / 9, "valid")
        beat = np.sin(2 * np.pi * draw.uniform(4.5, 6.5) * np.arange(rows) / 100 + draw.uniform(0, 6))
        own = 0.15 if draw.random() < 0.6 else draw.uniform(0.5, 1)  # how much of the speaking melody is left
        about = about * own + np.log(2) * (higher + note + draw.uniform(0, 0.05) * beat)
        tilt_db = draw.uniform(-2, 3)
    elif how == "growled":
        rough = draw.uniform(0, 0.12) * draw.standard_normal(rows)
        about = about * draw.uniform(0.5, 1.5) + np.log(2) * (draw.uniform(-0.8, 0.3) + rough)
        breath = np.maximum(breath, draw.uniform(0, 0.6))
        tract, tilt_db = float(draw.uniform(0.85, 1.05)), draw.uniform(-1, 4)
    else:
        voiced = np.zeros(rows, bool)
        breath = np.ones_like(breath)
        tilt_db = draw.uniform(0, 5)
    pitch = np.where(voiced, np.clip(centre * np.exp(about), 55, HIGHEST_HZ), 0.0)
    louder_db = 1.5 * slow_walk(rows, 30, draw) * (how != "whispered")
    envelope = coloured(said.envelope, tract, tilt_db) * 10 ** (louder_db[:, None] / 10)
    made = synthesise(Voice(pitch, envelope, breath), count * SPEC.chunk_samples)
    source = np.minimum(place(np.arange(count) + 0.5), codes - 0.5)
    return Retold(as_loud(made, samples), source, phones[source.astype(int)], np.zeros(count, bool))


@dataclass(frozen=True, slots=True)
class Sounding:
    """What a throat does without words: pitch_hz, 0 where unvoiced; level_db; breathy; glide, 0..1 from vowel to vowel.

    Each (rows,), one every 10 ms.
    """

    pitch_hz: np.ndarray
    level_db: np.ndarray
    breathy: np.ndarray
    glide: np.ndarray


def laughter(centre_hz: float, draw: np.random.Generator) -> Sounding:
    """A bout: calls of a vowel, breath between them, mostly falling in pitch and in strength."""
    calls = int(draw.integers(2, 14))
    period = draw.uniform(13, 27)  # rows
    voiced_part = draw.uniform(0.35, 0.7)
    lengths = np.maximum(6, np.rint(period * np.exp(0.12 * draw.standard_normal(calls)))).astype(int)
    higher = draw.uniform(0.1, 1.4) + np.linspace(0, -draw.uniform(0, 0.6), calls)  # octaves
    fading_db = np.linspace(0, -draw.uniform(0, 16), calls)
    breath_db = -draw.uniform(6, 34)
    voiced = draw.random() > 0.15
    ahead = int(draw.integers(4, 25)) if draw.random() < 0.5 else 0  # it begins with breath
    pitch, level, breathy = [np.zeros(ahead)], [np.linspace(-40, breath_db, ahead)], [np.ones(ahead, bool)]
    for call, length in enumerate(lengths):
        sung = max(3, int(length * voiced_part))
        time = np.arange(sung) / sung
        tone = centre_hz * 2 ** (higher[call] + 0.1 * draw.standard_normal() - draw.uniform(0, 0.4) * time)
        swell_db = -18 * (1 - np.minimum(1, np.arange(1, sung + 1) / 3)) - draw.uniform(0, 8) * time
        pitch += [tone * voiced, np.zeros(length - sung)]
        level += [fading_db[call] + swell_db, np.full(length - sung, fading_db[call] + breath_db)]
        breathy += [np.zeros(sung, bool), np.ones(length - sung, bool)]
    rows = np.concatenate(pitch)
    return Sounding(rows, np.concatenate(level), np.concatenate(breathy), np.zeros(len(rows)))


def cries(centre_hz: float, draw: np.random.Generator) -> Sounding:
    """One to three: ow, oh, noo, wow; short or two seconds long, from vowel to vowel, the pitch on its way."""
    pitch, level, breathy, glide = [], [], [], []
    for _ in range(int(draw.integers(1, 4))):
        length = int(np.exp(draw.uniform(np.log(10), np.log(190))))
        time = np.arange(length) / length
        peak, spread = draw.uniform(0, 0.7), draw.uniform(0.2, 0.8)
        course = draw.uniform(-0.9, 0.9) * np.exp(-0.5 * ((time - peak) / spread) ** 2) + draw.uniform(-0.5, 0.5) * time
        tone = centre_hz * 2 ** (draw.uniform(-0.2, 1.2) + course + 0.03 * slow_walk(length, 8, draw))
        edge = int(draw.integers(2, 8))
        swell_db = -25 * (1 - np.minimum(1, np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)) / edge))
        pause = int(draw.integers(8, 60))
        pitch += [tone, np.zeros(pause)]
        level += [swell_db - draw.uniform(0, 10) * time, np.full(pause, -draw.uniform(25, 60))]
        breathy += [np.zeros(length, bool), np.ones(pause, bool)]
        glide += [np.clip((time - draw.uniform(0, 0.8)) / 0.3, 0, 1), np.zeros(pause)]
    return Sounding(np.concatenate(pitch), np.concatenate(level), np.concatenate(breathy), np.concatenate(glide))


def beside_words(
    samples: np.ndarray, phones: np.ndarray, voice: Voice, most_codes: int, draw: np.random.Generator, laughs: bool
) -> Retold:
    """Some of the speech or none of it, a pause, then laughter or cries in the same voice with vowels of its own."""
    codes = len(phones)
    vowel = VOWEL[phones] if (phones >= 0).all() else held_codes(phones, voice)
    loud = voice.envelope[: codes * PER_CODE : PER_CODE].sum(1)
    vowel = vowel & (voice.pitch_hz[: codes * PER_CODE : PER_CODE] > 0) & (loud > np.quantile(loud, 0.6))
    if not vowel.any():
        return spoken(samples, phones, voice, most_codes, draw, "raised")
    one, other = draw.choice(np.flatnonzero(vowel), 2).tolist()  # the codes whose vowels they are
    centre_hz = float(np.exp(np.log(voice.pitch_hz[voice.pitch_hz > 0]).mean()))
    made = laughter(centre_hz, draw) if laughs else cries(centre_hz, draw)

    rows = min(len(made.pitch_hz), (most_codes - 4) * PER_CODE) // PER_CODE * PER_CODE
    pitch = np.where(made.pitch_hz > 0, np.clip(made.pitch_hz, 60, HIGHEST_HZ), 0)[:rows]
    level_db, breathy, glide = made.level_db[:rows], made.breathy[:rows], made.glide[:rows]
    tract = float(draw.uniform(0.98, 1.18) if laughs else draw.uniform(0.9, 1.12))  # laughing draws the lips back
    both = read_at(voice, np.array([one, other]) * PER_CODE + 1.0)
    logs = np.log(coloured(both.envelope, tract, draw.uniform(-1, 4)))
    logs = logs[:1] * (1 - glide[:, None]) + logs[1:] * glide[:, None]
    shape = np.exp(logs + (level_db + slow_walk(rows, 12, draw))[:, None] * np.log(10) / 10)
    breath = np.where((breathy | (pitch == 0))[:, None], 1.0, np.full(shape.shape, draw.uniform(0.02, 0.5)))
    sound = as_loud(synthesise(Voice(pitch, shape, breath), rows * SPEC.chunk_samples // PER_CODE), samples)
    sound = np.clip(sound * np.float32(10 ** (draw.uniform(-6, 8) / 20)), -1, 1)

    bout = rows // PER_CODE
    left = most_codes - bout
    pause = min(left, int(draw.integers(2, 25)))
    before = min(codes, left - pause)
    if draw.random() < 0.35:
        before = int(before * draw.uniform(0, 0.3))
    first = int(draw.integers(0, codes - before + 1))
    spoken_before = samples[first * SPEC.chunk_samples : (first + before) * SPEC.chunk_samples].astype(np.float32)
    nearer = np.where(glide[PER_CODE - 1 :: PER_CODE] > 0.5, other, one)
    breath_codes = breathy.reshape(bout, PER_CODE).all(1)
    silent = (level_db[::PER_CODE] < SILENT_DB) & (not laughs)  # in laughter the mouth stays open
    middles = np.concatenate([np.arange(first, first + before), np.full(pause, -1), np.where(silent, -1, nearer)])
    source = np.where(middles < 0, -1, middles + 0.5)
    if (phones >= 0).all():
        uttered = np.where(breath_codes, BREATH, phones[nearer])
        uttered[silent] = SILENCE
        said = np.concatenate([phones[first : first + before], np.full(pause, SILENCE), uttered])
    else:
        said = np.full(before + pause + bout, -1)
    made_here = (np.arange(len(source)) >= before + pause) & (source >= 0)
    quiet = np.zeros(pause * SPEC.chunk_samples, np.float32)
    return Retold(np.concatenate([spoken_before, quiet, sound]), source, said.astype(phones.dtype), made_here, laughs)


def as_loud(made: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """`made` as loud as `samples`, where each is loud; float32 within -1..1."""
    return np.clip(made * np.float32(active_rms(samples) / active_rms(made)), -1, 1)
