"""`voxcam train vae`: one readable loop that teaches the encoder everything at once, motion included.

A step is `micro_batches` batches, shared out over the processes: two processes with two micro-batches do what one does
with two. What a step sees hangs on (seed, step, micro-batch) alone, and checkpoints hold all the rest, so that a run
that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from engines.errors import ConfigError
from engines.spec import SPEC
from engines.whole_file import write_atomically
from train import checkpoint
from train.data.batches import CORPORA, Batch, BatchConfig, Batches, Corpus, load
from train.data.prepare import COMPONENTS, STYLE
from train.speech.begin import begin as load_beginning
from train.speech.losses import LossConfig, vae_losses, weigh
from train.speech.vae import Encoder, EncoderConfig, Heads, Tensors


@dataclass(frozen=True, slots=True)
class VaeConfig:
    steps: int = 8000
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05  # of the steps
    clip: float = 1.0
    average: float = 0.9985  # of the weights that are shipped
    micro_batches: int = 1
    heads_first: int = 0  # steps in which the encoder, begun from an exported one, waits for its new heads
    carry: float = 0.5  # chance that a row goes on from another clip's state
    carry_slow: float = 0.15  # the same of the slow factors' statistics
    seed: int = 1
    checkpoint_every: int = 250
    leave_out: tuple[str, ...] = ()  # speakers that are not trained on, e.g. grid/s3
    bf16: bool = True  # the networks; sound, log-mel and losses stay float32
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    loss: LossConfig = field(default_factory=LossConfig)


class Model(torch.nn.Module):
    """Encoder and training heads in one module; its forward is a whole step's losses, so that DDP sees them all."""

    def __init__(self, config: VaeConfig, corpus: Corpus, typical: np.ndarray) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder, typical)
        self.heads = Heads(config.encoder, COMPONENTS, STYLE, len(corpus.speakers), len(corpus.noise_classes))

    def forward(self, batch: Batch, state: Tensors, warm: float) -> tuple[torch.Tensor, Tensors, Tensors]:
        # Not Fabric's own bf16-mixed: it rounds the inputs, too, and samples in bf16 are noise at -48 dB.
        with torch.autocast(batch["samples"].device.type, torch.bfloat16, enabled=self.config.bf16):
            out, after = self.encoder(batch["samples"], state, batch.get("stretch"))
        out = {name: value.float() for name, value in out.items()}
        losses = vae_losses(out, batch, self.heads, self.config.loss, warm)
        return weigh(losses, self.config.loss), losses, {name: value.float() for name, value in after.items()}


def rate_at(step: int, config: Any) -> float:
    """Learning rate: linear up, then half a cosine down to a hundredth; config: steps, warm_up, learning_rate."""
    warm = max(1, int(config.steps * config.warm_up))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1, done))))


def train_vae(
    config: VaeConfig,
    data_root: Path,
    cache: Path,
    out: Path,
    fabric: Fabric | None = None,
    workers: int = 1,
    resume: bool = True,
    progress: Callable[[int, int, dict[str, float]], None] = lambda _step, _of, _losses: None,
    corpus: Corpus | None = None,
    stop_at: int | None = None,
    begin: Path | None = None,
) -> Path:
    """Train, or go on training, in folder `out`; returns the last checkpoint.

    stop_at ends the run early, as a kill would (after a checkpoint). begin: a finished run's checkpoint or an exported
    encoder, whose weights another leg starts from (train/speech/begin.py); its optimiser starts anew.
    """
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    if config.micro_batches % fabric.world_size:
        raise ConfigError(
            f"{config.micro_batches} micro-batches can't be shared by {fabric.world_size} processes",
            f"set micro_batches to a multiple of {fabric.world_size}",
        )
    out.mkdir(parents=True, exist_ok=True)
    typical = json.loads((cache / "speech.json").read_text())["typical"]
    corpus = corpus or load(data_root, cache, leave_out=config.leave_out)
    torch.manual_seed(config.seed)
    model = Model(config, corpus, np.array(typical, np.float32))
    optimiser = torch.optim.AdamW(
        model.parameters(), config.learning_rate, (0.9, 0.98), weight_decay=config.weight_decay
    )
    average = {name: value.detach().clone() for name, value in model.encoder.state_dict().items()}
    own = range(fabric.global_rank, config.micro_batches, fabric.world_size)
    rows = config.batch.rows
    states = {micro: model.encoder.init_state(rows) for micro in own}
    first = steps_before = 0
    last = out / "last.safetensors"
    if resume and last.is_file():
        tensors, known = checkpoint.load(last)
        _same_run(known["config"], config)
        model.load_state_dict(checkpoint.part("model", tensors))
        checkpoint.restore_optimiser(optimiser, model, checkpoint.part("optimiser", tensors))
        average = checkpoint.part("average", tensors)
        states = {m: checkpoint.part(f"state{m}", tensors) or states[m] for m in own}
        first, steps_before = known["step"], known.get("steps_before", 0)
    elif begin is not None:
        steps_before = load_beginning(model, config.encoder, begin)
        average = {name: value.detach().clone() for name, value in model.encoder.state_dict().items()}
    step_model, optimiser = fabric.setup(model, optimiser)
    average = {name: value.to(fabric.device) for name, value in average.items()}

    loaders = {}
    for micro in own:
        batches = Batches(corpus, config.batch, config.seed * config.micro_batches + micro, first)
        loaders[micro] = iter(
            torch.utils.data.DataLoader(
                batches, batch_size=None, num_workers=workers, prefetch_factor=3 if workers else None
            )
        )

    log_path = out / "log.csv"
    started = time.monotonic()
    if fabric.is_global_zero:
        started -= _cut_log(log_path, first)
    for step in range(first, config.steps if stop_at is None else min(stop_at, config.steps)):
        rate = rate_at(step, config)
        for group in optimiser.param_groups:
            group["lr"] = rate
        warm = min(1.0, max(0.0, step / config.steps - 0.1) / 0.2)
        total: dict[str, float] = {}
        for index, micro in enumerate(own):
            batch = {name: value.to(fabric.device) for name, value in next(loaders[micro]).items()}
            torch.manual_seed((config.seed * config.micro_batches + micro) * 1_000_003 + step)
            state = _carried(states[micro], config.carry, config.carry_slow)
            with fabric.no_backward_sync(step_model, enabled=index < len(own) - 1):
                loss, losses, after = step_model(batch, state, warm)
                fabric.backward(loss / len(own))
            states[micro] = {name: value.detach() for name, value in after.items()}
            for name, value in losses.items():
                total[name] = total.get(name, 0.0) + float(value.detach()) / len(own)
        if step < config.heads_first:
            for parameter in model.encoder.parameters():
                parameter.grad = None
        fabric.clip_gradients(step_model, optimiser, max_norm=config.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        keep = min(config.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in model.encoder.state_dict().items():
                average[name].lerp_(value, 1 - keep)

        done = step + 1
        progress(done, config.steps, total)
        if done % 10 == 0 and fabric.is_global_zero:
            _log(log_path, {"step": done, "seconds": time.monotonic() - started, "rate": rate} | total)
        ends = done == config.steps or done == stop_at
        if done % config.checkpoint_every == 0 or ends:
            every = _of_all_processes(states, fabric)
            if fabric.is_global_zero:
                tensors = checkpoint.prefixed("model", model.state_dict())
                tensors |= checkpoint.prefixed("average", average)
                tensors |= checkpoint.prefixed("optimiser", checkpoint.optimiser_tensors(optimiser.optimizer, model))
                for micro, state in every.items():
                    tensors |= checkpoint.prefixed(f"state{micro}", state)
                facts = {"step": done, "steps_before": steps_before, "config": asdict(config), "spec": SPEC.to_json()}
                checkpoint.save(last, tensors, facts | _names(corpus))
            fabric.barrier()
    return last


def _carried(state: Tensors, chance: float, chance_slow: float) -> Tensors:
    """Rows start from another row's last state, or from zero: streams are longer than three seconds.

    The slow factors' statistics mostly start anew: seconds of another speaker in them would make the labels lies.
    """
    rows = len(state["gru1"])
    order = torch.randperm(rows)
    draw = torch.rand(rows)
    carried = {}
    for name, value in state.items():
        keep = (draw < (chance_slow if name.startswith("slow_") else chance)).float()
        each = value.unflatten(0, (rows, -1))[order.to(value.device)]
        each = each * keep.to(value.device).view(rows, *[1] * (each.ndim - 1))
        carried[name] = each.flatten(0, 1)
    return carried


def _of_all_processes(states: dict[int, Tensors], fabric: Fabric) -> dict[int, Tensors]:
    """The streams' states of every process by micro-batch, from each process's own; all of them have to ask."""
    if fabric.world_size == 1:
        return states
    found: dict[int, Tensors] = {}
    for micro in sorted(states):  # the one of the same place in each process
        gathered: Any = fabric.all_gather({name: value.contiguous() for name, value in states[micro].items()})
        first = micro - fabric.global_rank
        for rank in range(fabric.world_size):
            found[first + rank] = {name: value[rank] for name, value in gathered.items()}
    return found


def _names(corpus: Corpus) -> dict:
    return {"speakers": list(corpus.speakers), "noise_classes": list(corpus.noise_classes)}


def _same_run(known: dict, config: VaeConfig) -> None:
    """A checkpoint goes on only with the networks and batches that it began with; ConfigError otherwise."""
    mine = json.loads(json.dumps(asdict(config)))
    for name in ("encoder", "seed", "micro_batches"):
        if known[name] != mine[name]:
            raise ConfigError(
                f"the checkpoint has {name} = {known[name]}, the config {mine[name]}", "use another --out"
            )
    rows = sum(known["batch"][name] for name in (*CORPORA, "again", "alone"))
    if rows != config.batch.rows:  # each row has its state
        raise ConfigError(
            f"the checkpoint has {rows} rows a batch, the config {config.batch.rows}", "use another --out"
        )


def _cut_log(path: Path, step: int) -> float:
    """Drop rows after `step`, which a run that goes on from there writes again; the seconds that the last one says."""
    if not path.is_file():
        return 0.0
    with path.open(newline="") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    kept = [row for row in rows if len(row) == len(header) and float(row[0]) <= step]
    if not kept:
        path.unlink()  # with its names of losses, which may be others now
        return 0.0
    text = io.StringIO()
    csv.writer(text).writerows([header, *kept])
    write_atomically(path, text.getvalue().encode())
    return float(kept[-1][1])


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(row)
        writer.writerow([f"{value:.6g}" for value in row.values()])
