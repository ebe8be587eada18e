"""Whole clips through the encoder or its engine: what reports and labels are made of. Both are equal, by test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engines.encoder import Encoder as Engine
from engines.spec import SPEC
from train.speech.losses import align_rows
from train.speech.vae import DELAYS, FACTORS, Encoder, LogMel

ROW_OUTPUTS = ("content", "motion", "phone_logits", "presence")


@torch.no_grad()
def encode(encoder: Encoder | Engine, sounds: Sequence[np.ndarray], batch: int = 16) -> list[dict[str, np.ndarray]]:
    """Outputs by name of each sound (samples,), its tail filled with silence for the lookahead.

    content, motion, phone_logits, presence: (codes, 3, ...), row L of code k being what is known L ms after it; motion
    in eye distances. emotion, noise, speaker (codes, 16), emotion_logits (codes, 7), snr_db (codes, 1), mel
    (codes, 2, 80), all of the sound up to their code.
    """
    if isinstance(encoder, Engine):
        return [played(encoder, sound) for sound in sounds]
    found: list[dict[str, np.ndarray]] = [{} for _ in sounds]
    order = sorted(range(len(sounds)), key=lambda index: len(sounds[index]))
    for start in range(0, len(order), batch):
        group = order[start : start + batch]
        codes = [len(sounds[index]) // SPEC.chunk_samples for index in group]
        padded = np.zeros((len(group), (max(codes) + SPEC.most_ahead) * SPEC.chunk_samples), np.float32)
        for row, (index, count) in enumerate(zip(group, codes, strict=True)):
            padded[row, : count * SPEC.chunk_samples] = sounds[index][: count * SPEC.chunk_samples]
        out, _ = encoder(torch.from_numpy(padded))
        out["presence"] = torch.sigmoid(out["presence_logits"])[..., None]
        out["motion"] = encoder.finish_motion(out["motion"])
        out["mel"] = out["mel"].unflatten(1, (-1, SPEC.chunk_hops))
        for name in ROW_OUTPUTS:
            out[name] = align_rows(out[name])
        for row, (index, count) in enumerate(zip(group, codes, strict=True)):
            for name in (*ROW_OUTPUTS, *FACTORS, "emotion_logits", "snr_db", "mel"):
                found[index][name] = out[name][row, :count].numpy().copy()
    return found


def played(engine: Engine, sound: np.ndarray) -> dict[str, np.ndarray]:
    """What `encode` says of one sound (samples,), by the engine, step by step."""
    codes = len(sound) // SPEC.chunk_samples
    padded = np.zeros((codes + SPEC.most_ahead, SPEC.chunk_samples), np.float32)
    padded[:codes] = sound[: codes * SPEC.chunk_samples].reshape(codes, -1)
    steps, state = [], engine.init_state()
    for chunk in padded:
        code, state = engine.step(chunk, state)
        steps.append(code.copy())
    found = {}
    for name in ROW_OUTPUTS:
        rows = [[getattr(step, name)[row] for step in steps[late : late + codes]] for row, late in enumerate(DELAYS)]
        found[name] = np.stack([np.stack(row) for row in rows], 1)
    for name in (*FACTORS, "emotion_logits"):
        found[name] = np.stack([getattr(step, name) for step in steps[:codes]])
    found["snr_db"] = np.stack([step.snr for step in steps[:codes]])
    before = np.zeros(SPEC.window_samples - SPEC.hop_samples, np.float32)
    mel = LogMel()(torch.from_numpy(np.concatenate([before, padded[:codes].ravel()]))[None])[0]
    found["mel"] = mel.unflatten(0, (-1, SPEC.chunk_hops)).numpy()
    return found
