"""Whether the mouth goes along behind microphones, lines and rooms that corpora lack.

    python -m train.motion.microphones --data-root DATA --cache CACHE [--engine encoder.card.json]

Clips of val speakers through filters, rooms and suppressors that are written down here, not drawn as those that teach
(train/data/augment.py) are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import signal

from engines.encoder import Encoder, open_encoder
from engines.errors import VoxcamError
from engines.spec import SPEC
from train.data.augment import active_rms, equalised, telephone
from train.data.batches import Item
from train.motion.goes_along import AS_RECORDED, add_options, judge, line_of, val_clips

RATE = SPEC.sample_rate_hz
Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def tilted(db_an_octave: float) -> Fault:
    """More or less of what lies above 200 Hz."""

    def fault(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        return equalised(sound, lambda hz: db_an_octave * np.log2(np.maximum(hz, 200) / 200))

    return fault


def without(corner_hz: float, kind: str) -> Fault:
    """Nothing on one side (`lowpass`, `highpass`: what stays) of a corner, 18 dB an octave."""
    sections = signal.butter(3, corner_hz, kind, fs=RATE, output="sos")
    return lambda sound, draw: signal.sosfilt(sections, sound)


def room(rt60_s: float, direct_db: float) -> Fault:
    """Echoes that die away in rt60_s, the direct sound direct_db stronger than all of them."""

    def fault(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        time = np.arange(int(1.2 * rt60_s * RATE)) / RATE
        echoes = draw.standard_normal(len(time)) * 10 ** (-3 * time / rt60_s)
        echoes[: int(0.003 * RATE)] = 0
        echoes = signal.sosfilt(signal.butter(1, 5000, "lowpass", fs=RATE, output="sos"), echoes)
        echoes *= 10 ** (-direct_db / 20) / np.sqrt((echoes**2).sum())
        echoes[0] += 1
        return signal.fftconvolve(sound, echoes)[: len(sound)]

    return fault


def headset(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """8 kHz, as Bluetooth's hands-free profile has it."""
    return signal.resample_poly(signal.resample_poly(sound, 1, 2), 2, 1)[: len(sound)]


def gated(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A suppressor at its worst: white noise 15 dB below, then of each band what lies above it, all or nothing."""
    noisy = sound + draw.standard_normal(len(sound)) * active_rms(sound) * 10 ** (-15 / 20)
    _, _, spectrum = signal.stft(noisy, RATE, nperseg=512, noverlap=384)
    size = np.abs(spectrum)
    kept = size > 3 * np.quantile(size, 0.2)
    soft = signal.convolve2d(kept, np.full((3, 3), 1 / 9), "same")
    return signal.istft(spectrum * soft, RATE, nperseg=512, noverlap=384)[1][: len(sound)]


def levelled(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """An automatic gain that lifts whispers and room alike, by up to 36 dB in 30 ms."""
    level = np.sqrt(signal.lfilter([0.002], [1, -0.998], sound**2) + 1e-8)
    return sound * np.minimum(0.1 / level, 60)


def lossy(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """One packet of 20 ms in twelve is silence."""
    packets = sound[: len(sound) // SPEC.chunk_samples * SPEC.chunk_samples].reshape(-1, SPEC.chunk_samples)
    return (packets * (draw.random(len(packets)) > 1 / 12)[:, None]).ravel()


def echoed(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Oneself a quarter of a second later, 6 dB weaker, as out of the other side's loudspeakers."""
    late = RATE // 4
    return sound + 0.5 * np.concatenate([np.zeros(late), sound[:-late]])


def both(*faults: Fault) -> Fault:
    def fault(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        for each in faults:
            sound = each(sound, draw)
        return sound

    return fault


FAULTS: dict[str, Fault] = {
    "dark, -6 dB an octave": tilted(-6),
    "dark, -9 dB an octave": tilted(-9),
    "bright, +6 dB an octave": tilted(6),
    "muffled, nothing above 2 kHz": without(2000, "lowpass"),
    "muffled, nothing above 1.2 kHz": without(1200, "lowpass"),
    "thin, nothing below 900 Hz": without(900, "highpass"),
    "telephone": lambda sound, draw: telephone(sound),
    "headset at 8 kHz": headset,
    "far, 0.8 s": room(0.8, -3),
    "hall, 1.5 s": room(1.5, -5),
    "dark and far": both(tilted(-6), room(0.8, -3)),
    "muffled in a hall": both(without(1500, "lowpass"), room(1.2, 0)),
    "suppressor": gated,
    "automatic gain": levelled,
    "lost packets": lossy,
    "echo": echoed,
}
QUIETER_DB = (30, 40, 45)  # than the clips, whose loud parts have an RMS of -23 dB


def through(clips: Sequence[Item], fault: Fault, seed: int) -> list[Item]:
    """The clips as they sound behind a fault, as loud as before."""
    made = []
    for number, clip in enumerate(clips):
        sound = clip.sound.astype(np.float64) / 32767
        faulty = fault(sound, np.random.default_rng((seed, number)))
        faulty = np.pad(faulty, (0, len(sound) - len(faulty)))
        faulty *= active_rms(sound) / active_rms(faulty)
        made.append(replace(clip, sound=(faulty / max(1.0, np.abs(faulty).max()) * 32767).astype(np.int16)))
    return made


def quieter(clips: Sequence[Item], db: float) -> list[Item]:
    """The clips out of a 16-bit microphone that is not turned up."""
    return [
        replace(clip, sound=np.rint(clip.sound.astype(np.float64) * 10 ** (-db / 20)).astype(np.int16))
        for clip in clips
    ]


def judge_all(encoder: Encoder, data_root: Path, cache: Path, seed: int = 7) -> dict[str, dict]:
    """Figures behind every fault, of quiet ones, and of the clips as they were recorded."""
    items, opening = val_clips(data_root, cache)
    heard = {AS_RECORDED: items} | {name: through(items, fault, seed) for name, fault in FAULTS.items()}
    heard |= {f"{db} dB quieter": quieter(items, db) for db in QUIETER_DB}
    return {name: judge(encoder, clips, opening) for name, clips in heard.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.motion.microphones", description=__doc__.split("\n\n")[0])
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    try:
        with open_encoder(options.engine) as encoder:
            for name, row in judge_all(encoder, Path(options.data_root), options.cache).items():
                print(line_of(name, row))
    except VoxcamError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
