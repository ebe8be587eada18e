"""Sounds through the shipped engine, step by step."""

from __future__ import annotations

import numpy as np

from engines.card import WEIGHTS, read_card
from engines.encoder import open_encoder
from engines.shaper import Shaper
from engines.spec import SPEC
from train.motion.heard import encoder_motion, hear, open_judged, shaped_motion
from train.speech.begin import steps_of


def test_silence_fills_up_the_last_chunk() -> None:
    draw = np.random.default_rng(3)
    samples = (0.05 * draw.standard_normal(10 * SPEC.chunk_samples + 7)).astype(np.float32)
    encoder = open_encoder()
    try:
        rows = hear(encoder, samples)
        padded = hear(encoder, np.pad(samples, (0, SPEC.chunk_samples - 7)))
    finally:
        encoder.close()
    assert (rows.codes, len(rows.motion)) == (11, 11 + SPEC.most_ahead)
    assert np.array_equal(rows.motion, padded.motion)
    assert np.allclose(rows.rms[:10], samples[:3200].reshape(10, -1).astype(float).std(1))
    for ms in SPEC.lookaheads_ms:
        assert encoder_motion(rows, ms).shape == (11, 14)
        assert np.array_equal(shaped_motion(rows, ms), shaped_motion(padded, ms, Shaper(SPEC, ms, idle=False)))


def test_the_exported_encoder_is_judged_as_it_is() -> None:
    samples = (0.05 * np.random.default_rng(4).standard_normal(8 * SPEC.chunk_samples)).astype(np.float32)
    shipped = WEIGHTS / "encoder.onnx"
    with open_judged(shipped) as judged, open_encoder() as encoder:
        assert np.array_equal(hear(judged, samples).motion, hear(encoder, samples).motion)
    assert steps_of(shipped) == read_card(shipped).metrics["steps"] > 0
