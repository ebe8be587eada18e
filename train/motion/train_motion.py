"""`voxcam train motion`: the motion head alone, on the frozen codes of a finished encoder.

`voxcam train vae` trains it together with the codes; this teaches it anew, for other labels or another shape of head,
and leaves everything else of the encoder as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from engines.spec import SPEC
from train import checkpoint
from train.data.batches import BatchConfig, Batches, Corpus, load
from train.speech.export import encoder_of
from train.speech.losses import LossConfig, align_rows, motion_losses, weigh
from train.speech.train_vae import rate_at


@dataclass(frozen=True, slots=True)
class MotionConfig:
    steps: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05
    clip: float = 1.0
    seed: int = 1
    batch: BatchConfig = field(default_factory=BatchConfig)
    loss: LossConfig = field(default_factory=LossConfig)


def train_motion(
    config: MotionConfig,
    data_root: Path,
    cache: Path,
    encoder_path: Path,
    out: Path,
    workers: int = 1,
    progress: Callable[[int, int, dict[str, float]], None] = lambda _step, _of, _losses: None,
    corpus: Corpus | None = None,
) -> Path:
    """Returns the checkpoint OUT/last.safetensors, which export and score take like one of `vae`."""
    encoder, facts = encoder_of(encoder_path)
    encoder.requires_grad_(False)
    head = torch.nn.ModuleList([encoder.motion_gru, encoder.motion_out]).requires_grad_(True)
    optimiser = torch.optim.AdamW(head.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    # Who was left out of the codes stays a stranger to the head: the checkpoint's facts go on saying so.
    corpus = corpus or load(data_root, cache, leave_out=tuple(facts["config"]["leave_out"]))
    batches = Batches(corpus, config.batch, config.seed)
    loader = iter(torch.utils.data.DataLoader(batches, batch_size=None, num_workers=workers))
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, config)
        batch = next(loader)
        # Without vocal-tract augmentation nothing is warped: warping by 1 only adds rounding.
        stretch = batch["stretch"] if config.batch.augment.vocal_tract else None
        out_now, _ = encoder(batch["samples"], stretch=stretch)
        losses = motion_losses(align_rows(out_now["motion"]), batch)
        weigh(losses, config.loss).backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), config.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        progress(step + 1, config.steps, {name: float(value.detach()) for name, value in losses.items()})
    tensors, _ = checkpoint.load(encoder_path)
    tensors |= checkpoint.prefixed("average", encoder.state_dict())
    last = out / "last.safetensors"
    checkpoint.save(last, tensors, facts | {"motion": asdict(config), "spec": SPEC.to_json()})
    return last
