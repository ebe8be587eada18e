"""Sounds through the engine as a microphone's are: step by step, the laws of the mouth behind each step.

rows = hear(encoder, samples)              # what every step said, the lookahead's silence behind the sound's end
raw = encoder_motion(rows, 80)             # (codes, 14): code k, known 80 ms after it
shown = shaped_motion(rows, 80)            # (codes, 26): what the generator draws, without idle life
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from engines.card import card_path
from engines.encoder import Encoder, open_encoder
from engines.shaper import Shaper, chunk_rms
from engines.spec import SPEC

GOLDEN_CHUNKS = 50  # a second of noise: enough to tell that the engine is the checkpoint


@dataclass(frozen=True, slots=True)
class Rows:
    """Every step of one sound and its lookahead of silence; row L of step s speaks of code s - lookahead / 20 ms."""

    motion: np.ndarray  # (steps, 3, 14) eye distances
    phone_logits: np.ndarray  # (steps, 3, 40)
    presence: np.ndarray  # (steps, 3)
    emotion_logits: np.ndarray  # (steps, 7)
    snr_db: np.ndarray  # (steps,)
    rms: np.ndarray  # (steps,) of each chunk, without its mean

    @property
    def codes(self) -> int:
        return len(self.motion) - SPEC.most_ahead


def hear(encoder: Encoder, samples: np.ndarray) -> Rows:
    """Run a sound (n,) at 16 kHz from a fresh state; silence fills up its last chunk."""
    steps, rows = -(-len(samples) // SPEC.chunk_samples) + SPEC.most_ahead, len(SPEC.lookaheads_ms)
    chunks = np.zeros((steps, SPEC.chunk_samples), np.float32)
    chunks.reshape(-1)[: len(samples)] = samples
    found = Rows(
        np.zeros((steps, rows, len(SPEC.speech_channels)), np.float32),
        np.zeros((steps, rows, len(SPEC.phones)), np.float32),
        np.zeros((steps, rows)),
        np.zeros((steps, 7), np.float32),
        np.zeros(steps),
        np.array([chunk_rms(chunk) for chunk in chunks]),
    )
    state = encoder.init_state()
    for step, samples_now in enumerate(chunks):
        code, state = encoder.step(samples_now, state)
        found.motion[step], found.phone_logits[step] = code.motion, code.phone_logits
        found.presence[step], found.emotion_logits[step] = code.presence[:, 0], code.emotion_logits
        found.snr_db[step] = code.snr_db
    return found


def encoder_motion(rows: Rows, lookahead_ms: int) -> np.ndarray:
    """The encoder's own motion, (codes, 14)."""
    first = SPEC.lookahead_chunks(lookahead_ms)
    return rows.motion[first : first + rows.codes, SPEC.lookahead_row(lookahead_ms)]


def shaped_motion(rows: Rows, lookahead_ms: int, shaper: Shaper | None = None) -> np.ndarray:
    """What the laws make of it, (codes, 26); without a shaper: no idle life, no emotion."""
    shaper = shaper or plain_shaper(lookahead_ms)
    row, first = SPEC.lookahead_row(lookahead_ms), SPEC.lookahead_chunks(lookahead_ms)
    motion, _ = shaper.run(
        rows.motion[:, row],
        rows.phone_logits[:, row],
        rows.presence[:, row],
        rows.emotion_logits,
        rows.rms,
        snr_db=rows.snr_db,
    )
    return motion[first : first + rows.codes]


KINDS = {"encoder": encoder_motion, "shaped": shaped_motion}  # what reports compare


@cache
def plain_shaper(lookahead_ms: int) -> Shaper:
    """The laws alone."""
    return Shaper(SPEC, lookahead_ms, idle=False, emotion="off")


@contextmanager
def open_judged(path: Path, gain: np.ndarray | None = None) -> Iterator[Encoder]:
    """What a report judges: an exported encoder.onnx as it is, a checkpoint as the engine that it would be shipped as.

    gain: (14,) of the motion, which an exported encoder has in it already. A checkpoint's engine lies in a folder that
    is gone afterwards.
    """
    if path.suffix == ".onnx":
        with open_encoder(card_path(path)) as encoder:
            yield encoder
        return
    from train.speech.export import export  # what only plays an engine needs no torch

    with tempfile.TemporaryDirectory() as folder:
        golden = 0.1 * np.random.default_rng(0).standard_normal(GOLDEN_CHUNKS * SPEC.chunk_samples)
        export(path, Path(folder), golden.astype(np.float32), {}, gain)
        with open_encoder(Path(folder) / "encoder.card.json") as encoder:
            yield encoder
