"""The whole course of codes that a sound has: encoder and laws over a file, for what is no live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.shaper import chunk_rms
from engines.spec import EMOTIONS, MOTION_CHANNELS, SPEC

if TYPE_CHECKING:
    from engines.encoder import Code, Encoder
    from engines.shaper import Shaper

SIZES = {
    # of one code; the rest of the file is names and times
    "content": SPEC.content_size,
    "emotion": SPEC.emotion_size,
    "noise": SPEC.noise_size,
    "speaker": SPEC.speaker_size,
    "motion": len(MOTION_CHANNELS),
    "phone_logits": len(SPEC.phones),
    "presence": 1,
    "snr_db": 1,
    "emotion_logits": len(EMOTIONS),
}


@dataclass
class Course:
    """Codes of one sound as they come: an array a name, grown by doubling, so that hours cost no list of objects."""

    arrays: dict[str, np.ndarray] = field(
        default_factory=lambda: {name: np.zeros((256, size), np.float32) for name, size in SIZES.items()}
    )
    count: int = 0

    def add(self, code: Code, row: int, motion: np.ndarray) -> None:
        """Copy one step: its row of this lookahead, the slow factors as they are, and the shaped motion (26,)."""
        if self.count == len(self.arrays["motion"]):
            self.arrays = {name: np.concatenate([a, np.zeros_like(a)]) for name, a in self.arrays.items()}
        at = self.count
        for name in ("content", "phone_logits", "presence"):
            self.arrays[name][at] = getattr(code, name)[row]
        for name in ("emotion", "noise", "speaker", "emotion_logits"):
            self.arrays[name][at] = getattr(code, name)
        self.arrays["snr_db"][at] = code.snr_db
        self.arrays["motion"][at] = motion
        self.count += 1

    def finished(self) -> dict[str, np.ndarray]:
        """Arrays of exactly `count` codes, with times and names beside them."""
        return {
            **{name: array[: self.count] for name, array in self.arrays.items()},
            "times_s": (np.arange(self.count) + 0.5) / SPEC.codes_per_second,
            "phones": np.array(SPEC.phones),
            "motion_channels": np.array(MOTION_CHANNELS),
            "emotions": np.array(EMOTIONS),
        }


def chunks_of(hops: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Hops (160,) -> chunks (320,) in a buffer that is used again; the last one is filled with zeros."""
    chunk = np.zeros(SPEC.chunk_samples, np.float32)
    filled = 0
    for hop in hops:
        chunk[filled : filled + len(hop)] = hop
        filled += len(hop)
        if filled == len(chunk):
            yield chunk
            filled = 0
    if filled:
        chunk[filled:] = 0
        yield chunk


def hops_of(path: Path, warn: Callable[[str], None], progress: Callable[[float, float], None]) -> Iterator[np.ndarray]:
    """A sound file as hops of 10 ms at 16 kHz, mono."""
    from realtime.audio.sound import SoundFile
    from realtime.audio.sources import HopCutter

    with SoundFile(path) as sound:
        cutter = HopCutter(sound.rate_hz)
        for number, block in enumerate(sound.blocks()):
            yield from cutter.push(block)
            if number % 10 == 0:
                progress(cutter.hops * SPEC.hop_samples / SPEC.sample_rate_hz, sound.seconds or 0.0)
        yield from cutter.finish()
        for note in sound.warnings():
            warn(note)


def encode_chunks(chunks: Iterator[np.ndarray], encoder: Encoder, shaper: Shaper, lookahead_ms: int) -> Course:
    """Run encoder and shaper over the chunks of one sound: ceil(samples / 320) codes, whatever the lookahead.

    The first lookahead / 20 ms steps speak of time before the sound and are left out; as many steps of silence follow
    its end.
    """
    row, ahead = SPEC.lookahead_row(lookahead_ms), SPEC.lookahead_chunks(lookahead_ms)
    course = Course()
    encoder_state, shaper_state = encoder.init_state(), shaper.init_state()
    steps = 0

    def step(chunk: np.ndarray) -> None:
        nonlocal encoder_state, shaper_state, steps
        code, encoder_state = encoder.step(chunk, encoder_state)
        motion, shaper_state = shaper.step(code, shaper_state, chunk_rms(chunk))
        if steps >= ahead:
            course.add(code, row, motion)
        steps += 1

    for chunk in chunks:
        step(chunk)
    for _ in range(ahead if steps else 0):
        step(np.zeros(SPEC.chunk_samples, np.float32))
    return course
