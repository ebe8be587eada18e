"""Whole clips through the encoder: what reports and labels are made of. Equals the exported stream, by test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engines.spec import SPEC
from train.speech.losses import align_rows
from train.speech.vae import FACTORS, Encoder

ROW_OUTPUTS = ("content", "motion", "phone_logits", "presence")


@torch.no_grad()
def encode(encoder: Encoder, sounds: Sequence[np.ndarray], batch: int = 16) -> list[dict[str, np.ndarray]]:
    """Outputs by name of each sound (samples,), its tail filled with silence for the lookahead.

    content, motion, phone_logits, presence: (codes, 3, ...), row L of code k being what is known L ms after it; motion
    in eye distances. emotion, noise, speaker (codes, 16), emotion_logits (codes, 7), snr_db (codes, 1), mel
    (codes, 2, 80), all of the sound up to their code.
    """
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
