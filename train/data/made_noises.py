"""Noises that no corpus here has, made by seed: music, breath, what touches a microphone, what beeps.

Each is (count,) float32 at the stream's rate; whoever uses it sets its level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy import signal

from engines.spec import SPEC

RATE = SPEC.sample_rate_hz


def music(count: int, draw: np.random.Generator) -> np.ndarray:
    """Chords of harmonic tones with attack, decay and vibrato: what is tonal without being a voice."""
    time = np.arange(count, dtype=np.float32) / RATE
    total = np.zeros(count, np.float32)
    for _ in range(int(draw.integers(2, 7))):
        start = draw.uniform(-1, time[-1])
        pitch = 55 * 2 ** (draw.integers(0, 48) / 12)
        vibrato = 1 + draw.uniform(0, 0.01) * np.sin(2 * np.pi * draw.uniform(3, 7) * time)
        phase = 2 * np.pi * pitch * np.cumsum(vibrato, dtype=np.float64) / RATE
        envelope = np.clip((time - start) / draw.uniform(0.005, 0.2), 0, 1) * np.exp(
            -np.clip(time - start, 0, None) / draw.uniform(0.2, 3)
        )
        slope = draw.uniform(0.5, 2)
        for harmonic in range(1, min(9, int(7000 / pitch) + 1)):
            total += (envelope * np.sin(harmonic * phase) / harmonic**slope * draw.uniform(0.5, 1)).astype(np.float32)
    return total + 1e-5 * draw.standard_normal(count, np.float32)


def breath(count: int, draw: np.random.Generator) -> np.ndarray:
    """Breaths: bursts of band-limited noise of half a second."""
    time = np.arange(count, dtype=np.float32) / RATE
    envelope = np.zeros(count, np.float32)
    for _ in range(int(draw.integers(1, 4))):
        middle, width = draw.uniform(0, time[-1]), draw.uniform(0.1, 0.5)
        envelope += np.exp(-0.5 * ((time - middle) / width) ** 2)
    low = draw.uniform(200, 900)
    band = signal.butter(2, (low, low * draw.uniform(3, 7)), "band", fs=RATE, output="sos")
    return (signal.sosfilt(band, draw.standard_normal(count)) * envelope).astype(np.float32)


def touches(count: int, draw: np.random.Generator) -> np.ndarray:
    """A microphone or its table is touched now and then: bumps, knocks, rubbing or clicks out of quiet."""
    kinds = [(bump, knock, rub, click)[kind] for kind in draw.choice(4, 1 + int(draw.random() < 0.3), replace=False)]
    return series(count, draw, lambda: kinds[int(draw.integers(len(kinds)))](draw), longest_gap_s=0.4)


def beeps(count: int, draw: np.random.Generator) -> np.ndarray:
    """Telephones, alarms, ovens, plucked strings, whistling: tones on and off, one tune again and again."""
    length = int(draw.uniform(0.04, 0.2 if draw.random() < 0.5 else 1.5) * RATE)
    tune = 250 * 14 ** draw.random(int(draw.integers(1, 5)))  # Hz
    chord = 2 ** (draw.uniform(0, 14, int(draw.integers(0, 3))) / 12)
    voice = ("sine", "square", "saw")[int(draw.integers(3))]
    glide = draw.uniform(-0.5, 0.5) if draw.random() < 0.25 else 0.0
    fade = draw.uniform(2, 12) if draw.random() < 0.4 else 0.0
    edge = draw.uniform(0.002, 0.04)
    warble = draw.uniform(12, 30) if draw.random() < 0.15 else 0.0
    time = np.arange(length) / RATE
    envelope = np.minimum(1, np.minimum(time, time[-1] - time) / edge) * np.exp(-fade * time)
    envelope *= np.sin(2 * np.pi * warble * time) >= 0 if warble else 1

    def tone(hz: float) -> np.ndarray:
        phase = np.cumsum(hz * 2 ** (glide * time / time[-1])) / RATE
        if voice == "sine":
            return np.sin(2 * np.pi * phase)
        return np.sign(np.sin(2 * np.pi * phase)) if voice == "square" else 2 * (phase % 1) - 1

    order = itertools.cycle(tune)
    return series(count, draw, lambda: envelope * sum(map(tone, next(order) * np.append(1, chord))), longest_gap_s=1.2)


def series(count: int, draw: np.random.Generator, sound: Callable[[], np.ndarray], longest_gap_s: float) -> np.ndarray:
    """One to five sounds one soon after another, a pause, and so on; it begins anywhere. (count,) float32."""
    total = np.zeros(count, np.float32)
    at = draw.uniform(-1.5, 1.5)
    gap_s, pause_s = draw.uniform(0.04, longest_gap_s), draw.uniform(0.3, 2.5)
    unsteady = draw.random() < 0.5
    often = int(draw.integers(1, 6))
    while at * RATE < count:
        for _ in range(often):
            made = sound() * (10 ** (draw.uniform(-10, 0) / 20) if unsteady else 1)
            first = int(at * RATE)
            part = made[max(0, -first) : max(0, count - first)]
            total[max(0, first) : max(0, first) + len(part)] += part.astype(np.float32)
            at += len(made) / RATE + gap_s * (draw.uniform(0.3, 2) if unsteady else 1)
        at += pause_s * (draw.uniform(0.3, 2) if unsteady else 1)
    return total + 1e-5 * draw.standard_normal(count, np.float32)


def bump(draw: np.random.Generator) -> np.ndarray:
    """A hand on the microphone, a cup on the table: a dull burst."""
    time = np.arange(int(draw.uniform(0.05, 0.5) * RATE)) / RATE
    low = signal.butter(2, 60 * 10 ** draw.random(), "low", fs=RATE, output="sos")
    shape = np.minimum(1, time / draw.uniform(0.002, 0.08)) * np.exp(-time * draw.uniform(4, 40))
    return _level(signal.sosfilt(low, draw.standard_normal(len(time))) * shape * np.hanning(2 * len(time))[len(time) :])


def knock(draw: np.random.Generator) -> np.ndarray:
    """Wood, glass or a box struck: a few resonances that die away, and the stroke itself."""
    time = np.arange(int(0.25 * RATE)) / RATE
    total = draw.uniform(0, 0.5) * draw.standard_normal(len(time)) * np.exp(-time * draw.uniform(50, 400))
    for _ in range(int(draw.integers(2, 6))):
        hz, dies = 70 * 30 ** draw.random(), 1 / (0.005 * 20 ** draw.random())
        total += draw.uniform(0.2, 1) * np.sin(2 * np.pi * hz * time) * np.exp(-time * dies)
    return _level(total)


def rub(draw: np.random.Generator) -> np.ndarray:
    """Cloth, paper, a sleeve: band-limited noise that swells."""
    count = int(draw.uniform(0.1, 0.9) * RATE)
    low = 150 * 20 ** draw.random()
    band = signal.butter(1, (low, min(7500, low * draw.uniform(2, 8))), "band", fs=RATE, output="sos")
    swell = np.interp(np.arange(count), np.linspace(0, count, 8), np.append(0, draw.random(7)) ** 2)
    return _level(signal.sosfilt(band, draw.standard_normal(count)) * swell * np.hanning(count))


def click(draw: np.random.Generator) -> np.ndarray:
    """A key, a switch, a pen: a few milliseconds."""
    time = np.arange(int(0.05 * RATE)) / RATE
    high = signal.butter(1, 200 * 10 ** draw.random(), "high", fs=RATE, output="sos")
    return _level(signal.sosfilt(high, draw.standard_normal(len(time))) * np.exp(-time / (0.001 * 15 ** draw.random())))


def _level(samples: np.ndarray) -> np.ndarray:
    return samples / (np.abs(samples).max() + 1e-9)
