"""The labeller: teacher's features of clean sound -> motion, not causal. Taught on GRID, it labels all other speech.

Linear 384 -> 96, a bidirectional GRU of 64, linear to the 14 channels; the mean of a few nets. Targets are in the
talker's own scale, so that it gives a typical person's motion once multiplied by the typical scale. What squared error
takes from the amplitude is given back by one gain a channel, found on talkers left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from engines.spec import SPEECH_CHANNELS
from train.data.motion_labels import AT_LEAST_0
from train.data.teacher import FEATURES

BATCH = 32  # clips that are labelled at once
CHANNEL_WEIGHT = torch.tensor([2.0 if name in ("jawOpen", "mouthStretch") else 1.0 for name in SPEECH_CHANNELS])


@dataclass(frozen=True, slots=True)
class LabellerConfig:
    nets: int = 3
    steps: int = 1400
    batch: int = 24
    codes: int = 150
    size: int = 64
    dropout: float = 0.4
    learning_rate: float = 3e-3
    seed: int = 0


class LabelNet(nn.Module):
    """(batch, codes, 384) -> (batch, codes, 14), in units of the talker's scale."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.squeeze = nn.Linear(FEATURES, 96)
        self.gru = nn.GRU(96, size, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * size, len(SPEECH_CHANNELS))
        self.drop = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """codes (batch,): how many of each row count; without them all."""
        squeezed = self.drop(torch.relu(self.squeeze(features)))
        if codes is None:
            hidden, _ = self.gru(squeezed)
        else:
            packed = pack_padded_sequence(squeezed, codes, batch_first=True, enforce_sorted=False)
            hidden, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.out(self.drop(hidden))


def correlation(a: torch.Tensor, b: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Pearson's r over time of (batch, codes, channels) under mask (batch, codes, 1) -> (batch, channels)."""
    count = mask.sum(1).clamp_min(1)
    a = (a - ((a * mask).sum(1) / count)[:, None]) * mask
    b = (b - ((b * mask).sum(1) / count)[:, None]) * mask
    return (a * b).sum(1) / ((a * a).sum(1) * (b * b).sum(1) + 1e-4).sqrt()


def teach(
    features: dict[str, np.ndarray],
    targets: dict[str, np.ndarray],
    talker_of: dict[str, str],
    config: LabellerConfig,
    progress: Callable[[int], None] = lambda _step: None,
) -> tuple[list[LabelNet], tuple[np.ndarray, np.ndarray]]:
    """Teach the nets on targets (codes, 14) in talker's scale; returns them and the features' (mean, deviation)."""
    keys = sorted(targets)
    stacked = np.concatenate([np.asarray(features[key][::5], np.float32) for key in keys])
    mean, deviation = stacked.mean(0), stacked.std(0) + 1e-3
    count = {talker: sum(talker_of[key] == talker for key in keys) for talker in set(talker_of[key] for key in keys)}
    chance = np.array([1 / np.sqrt(count[talker_of[key]]) for key in keys])
    chance /= chance.sum()
    nets = []
    for number in range(config.nets):
        torch.manual_seed(config.seed + number)
        draw = np.random.default_rng(config.seed + number)
        net = LabelNet(config.size, config.dropout)
        optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps, pct_start=0.1)
        for step in range(config.steps):
            x = torch.zeros(config.batch, config.codes, FEATURES)
            y = torch.zeros(config.batch, config.codes, len(SPEECH_CHANNELS))
            mask = torch.zeros(config.batch, config.codes, 1)
            for row, index in enumerate(draw.choice(len(keys), config.batch, p=chance)):
                key = keys[index]
                codes = min(config.codes, len(targets[key]))
                start = int(draw.integers(0, len(targets[key]) - codes + 1))
                x[row, :codes] = torch.from_numpy(
                    (features[key][start : start + codes].astype(np.float32) - mean) / deviation
                )
                y[row, :codes] = torch.from_numpy(targets[key][start : start + codes])
                mask[row, :codes] = 1
            guess = net(x)
            wrong = (((guess - y) ** 2 * mask).sum((0, 1)) / mask.sum() * CHANNEL_WEIGHT).mean()
            loss = wrong + 0.5 * ((1 - correlation(guess, y, mask)) * CHANNEL_WEIGHT).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            progress(number * config.steps + step + 1)
        nets.append(net.eval())
    return nets, (mean, deviation)


@torch.no_grad()
def label(
    nets: list[LabelNet],
    standard: tuple[np.ndarray, np.ndarray],
    features: dict[str, np.ndarray],
    progress: Callable[[int], None] = lambda _done: None,
) -> dict[str, np.ndarray]:
    """Clips of (codes, 384) -> (codes, 14) float32 in the talker's scale; many of about one length at a time."""
    by_length = sorted(features, key=lambda key: len(features[key]))
    labels: dict[str, np.ndarray] = {}
    for first in range(0, len(by_length), BATCH):
        keys = by_length[first : first + BATCH]
        codes = torch.tensor([len(features[key]) for key in keys])
        x = torch.zeros(len(keys), int(codes.max()), FEATURES)
        for row, key in enumerate(keys):
            heard = (np.asarray(features[key], np.float32) - standard[0]) / standard[1]
            x[row, : len(heard)] = torch.from_numpy(heard)
        said = torch.stack([net(x, codes) for net in nets]).mean(0).numpy()
        labels.update({key: said[row, : len(features[key])].copy() for row, key in enumerate(keys)})
        progress(len(labels))
    return labels


def amplitude_gain(
    features: dict[str, np.ndarray],
    targets: dict[str, np.ndarray],
    talker_of: dict[str, str],
    config: LabellerConfig,
    left_out: tuple[str, ...],
) -> tuple[np.ndarray, dict[str, float]]:
    """Gain (14,) that gives talkers left out of the teaching their true deviation back, and r there by channel."""
    nets, standard = teach(
        features, {k: v for k, v in targets.items() if talker_of[k] not in left_out}, talker_of, config
    )
    keys = [key for key in sorted(targets) if talker_of[key] in left_out]
    guesses = label(nets, standard, {key: features[key] for key in keys})
    truth = np.concatenate([targets[key] for key in keys])
    guess = np.concatenate([guesses[key] for key in keys])
    r = np.mean(
        [[np.corrcoef(guesses[k][:, c], targets[k][:, c])[0, 1] for c in range(truth.shape[1])] for k in keys], 0
    )
    gain = np.clip(truth.std(0) / guess.std(0), 1.0, 2.0)
    gain = np.where(r > 0.3, gain, 1.0)  # what sound doesn't tell is not blown up
    return gain.astype(np.float32), dict(zip(SPEECH_CHANNELS, map(float, r), strict=True))


def finish(motion: np.ndarray) -> np.ndarray:
    """Clip what can't be below the rest."""
    motion = motion.copy()
    motion[:, AT_LEAST_0] = np.maximum(motion[:, AT_LEAST_0], 0)
    return motion
