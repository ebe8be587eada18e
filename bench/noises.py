"""Noise for `voxcam bench robustness`: recorded or made, at the level of speech, and mixed with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.clips import Clip
from bench.rig import read_sound
from engines.errors import InputError
from engines.spec import SPEC

RECORDINGS = 12  # noises that are used at least, where the folder has so many; three of each kind at most
SOUNDS = (".wav", ".opus", ".flac", ".ogg", ".mp3", ".m4a", ".aiff")


def level_of(sound: np.ndarray) -> float:
    """RMS of the loudest half of the 20 ms chunks: of speech, not of its pauses."""
    count = len(sound) // SPEC.chunk_samples
    power = (sound[: count * SPEC.chunk_samples].reshape(count, -1) ** 2).mean(1)
    return float(np.sqrt(np.sort(power)[count // 2 :].mean()))


def room_level(sound: np.ndarray) -> np.float32:
    """RMS of the quietest tenth of the 20 ms chunks: the room's own noise."""
    count = len(sound) // SPEC.chunk_samples
    power = (sound[: count * SPEC.chunk_samples].reshape(count, -1) ** 2).mean(1)
    return np.float32(np.sqrt(np.sort(power)[: max(1, count // 10)].mean()))


def at_level(recording: np.ndarray, level: float, samples: int, random: np.random.Generator) -> np.ndarray:
    """A random piece of a recording (repeated where it is short) at an RMS."""
    if len(recording) > samples:
        begin = int(random.integers(len(recording) - samples))
        piece = recording[begin : begin + samples]
    else:
        piece = np.resize(recording, samples)
    return (piece * (level / max(float(np.sqrt((piece**2).mean())), 1e-6))).astype(np.float32)


def mix(sound: np.ndarray, recording: np.ndarray, snr_db: float, random: np.random.Generator) -> np.ndarray:
    """Speech and noise at a ratio of their levels, turned down where they would clip."""
    mixed = sound + at_level(recording, level_of(sound) / 10 ** (snr_db / 20), len(sound), random)
    return (mixed / max(1.0, float(np.abs(mixed).max()) / 0.99)).astype(np.float32)


def recorded_noises(folder: Path) -> list[tuple[str, np.ndarray]]:
    """(kind, sound) of a folder KIND/NAME.wav (or opus, flac, ...), kinds in turn; InputError where there are none."""
    paths = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in SOUNDS]
    if not paths:
        raise InputError(f"{folder} holds no sounds", "name a folder of recordings: KIND/NAME.wav")
    by_kind: dict[str, list[Path]] = {}
    for path in paths:
        by_kind.setdefault(path.parent.name, []).append(path)
    order = [kind[k] for k in range(max(map(len, by_kind.values()))) for kind in by_kind.values() if k < len(kind)]
    return [(path.parent.name, read_sound(path)) for path in order[: max(3 * len(by_kind), RECORDINGS)]]


def made_noises(clips: list[Clip], seed: int) -> list[tuple[str, np.ndarray]]:
    """Noise that needs no recordings: pink, in the shape of speech, modulated, and babble of the clips themselves."""
    random = np.random.default_rng(seed)
    samples = 6 * SPEC.sample_rate_hz
    speech = np.concatenate([clip.sound for clip in clips])
    frequencies = np.fft.rfftfreq(samples, 1 / SPEC.sample_rate_hz)
    spectrum = np.abs(np.fft.rfft(np.resize(speech, samples)))
    smooth = np.convolve(spectrum, np.ones(301) / 301, "same")

    def shaped(gain: np.ndarray) -> np.ndarray:
        noise = np.fft.irfft(np.fft.rfft(random.standard_normal(samples)) * gain, samples)
        return (noise / np.abs(noise).max()).astype(np.float32)

    noises = []
    for _ in range(2):
        noises.append(("pink", shaped(1 / np.sqrt(np.maximum(frequencies, 30)))))
        noises.append(("speech-shaped", shaped(smooth)))
        swell = 0.15 + np.clip(
            np.interp(np.arange(samples), np.arange(0, samples, 800), random.random(samples // 800)), 0, 1
        )
        noises.append(("modulated", (shaped(smooth) * swell).astype(np.float32)))
        voices = [
            np.roll(np.resize(clips[i].sound, samples), int(random.integers(samples)))
            for i in random.integers(len(clips), size=7)
        ]
        babble = np.sum([voice / max(level_of(voice), 1e-4) for voice in voices], 0)
        noises.append(("babble", (babble / np.abs(babble).max()).astype(np.float32)))
    return noises
