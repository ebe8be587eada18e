"""What a leg of training begins with: another run's weights, or an exported encoder's, grown where the net is wider.

A wider net says at first what the narrower one said (after Net2Net, Chen, Goodfellow & Shlens, ICLR 2016): new units
hear everything and nobody listens to them yet. Unlike copies of old units they differ from all others from the start.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from engines.card import card_path, read_card
from engines.errors import InputError
from engines.spec import SPEC
from train import checkpoint
from train.onnx_export import read_graph
from train.speech.vae import EncoderConfig

Tensors = dict[str, torch.Tensor]


def begin(model: nn.Module, config: EncoderConfig, path: Path) -> int:
    """Load what `path` holds into a model of `encoder` and `heads`, grown to its width; returns its steps of all legs.

    path: a checkpoint, whose averaged encoder is taken, or an exported encoder.onnx, which has neither heads nor
    variances: they begin anew, as do layers whose form has changed otherwise. InputError for a file of another kind.
    """
    if path.suffix == ".onnx":
        known, steps = checkpoint.prefixed("encoder", exported_weights(path)), exported_steps(path)
    else:
        tensors, facts = checkpoint.load(path, "config", "step")
        known = checkpoint.part("model", tensors) | checkpoint.prefixed("encoder", checkpoint.part("average", tensors))
        steps = facts["step"] + facts.get("steps_before", 0)
    levels = SPEC.mel_bands * config.slow_mel
    last_columns = {"write": levels, "weigh": levels, "presence": SPEC.noise_size}  # what is read beside a GRU
    own = model.state_dict()
    for name, value in known.items():
        layer = name.split(".")[-2]
        if name in own:
            fits = grown(value, own[name], 3 if "gru" in layer else 1, last_columns.get(layer, 0))
            own[name] = own[name] if fits is None else fits
    model.load_state_dict(own)
    return steps


def grown(value: torch.Tensor, fresh: torch.Tensor, gates: int = 1, last: int = 0) -> torch.Tensor | None:
    """A layer's weight or bias in the wider shape of `fresh`; None where that is no wider form of it.

    New rows (units, in each of `gates` blocks) stay as in fresh. Old rows get zeros for new columns, which lie in front
    of the `last` ones.
    """
    if value.shape == fresh.shape:
        return value
    if value.ndim != fresh.ndim or value.ndim > 2 or any(a > b for a, b in zip(value.shape, fresh.shape, strict=True)):
        return None
    old, new = value.unflatten(0, (gates, -1)), fresh.clone().unflatten(0, (gates, -1))
    rows = old.shape[1]
    if value.ndim == 1:
        new[:, :rows] = old
    else:
        first = old.shape[2] - last
        new[:, :rows] = 0
        new[:, :rows, :first] = old[..., :first]
        new[:, :rows, new.shape[2] - last :] = old[..., first:]
    return new.flatten(0, 1)


def exported_weights(path: Path) -> Tensors:
    """The encoder's weights in an exported encoder.onnx, by their names in PyTorch.

    Without `typical` and `gain`: those are the data's and what is fitted after training.
    """
    graph, arrays = read_graph(path, "give a checkpoint or an exported encoder.onnx")
    weights = {
        name.removeprefix("encoder."): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith("encoder.") and name not in ("encoder.typical", "encoder.gain")
    }
    # The exporter keeps a GRU's matrices transposed and without a name; the bias that is added next tells which it is.
    factor_of = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        biases = [name for name in node.input if ".bias_" in name]
        factors = [factor_of[name] for name in node.input if name in factor_of]
        if node.op_type == "Add" and biases and factors:
            name = biases[0].removeprefix("encoder.").replace(".bias_", ".weight_")
            weights[name] = torch.tensor(arrays[factors[0]].T)
    if "gru1.weight_hh_l0" not in weights:
        raise InputError(f"{path} is no encoder of this project", "give a checkpoint or an exported encoder.onnx")
    return weights


def steps_of(path: Path) -> int:
    """Steps of all legs that taught a checkpoint or an exported encoder.onnx."""
    if path.suffix == ".onnx":
        return exported_steps(path)
    facts = checkpoint.facts_of(path)
    return facts["step"] + facts.get("steps_before", 0)


def exported_steps(path: Path) -> int:
    """Steps of all legs, by the card beside an exported encoder; 0 where there is none."""
    return int(read_card(path).metrics.get("steps", 0)) if card_path(path).is_file() else 0
