"""Checkpoints: one safetensors file, whose metadata is JSON. No pickle. Written beside and renamed: a kill or a full
disk leaves the last good one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from engines.errors import InputError, OutputError, WrongInput


def save(path: Path, tensors: dict[str, torch.Tensor], facts: dict) -> None:
    """tensors: flat names; facts: anything JSON holds."""
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, beside, {"facts": json.dumps(facts)})
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} can't be written ({error})", "make room; the last checkpoint is kept") from error
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path, *needed: str) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors and facts of a checkpoint, `needed` among the facts.

    WrongInput where there is none, InputError where it is damaged or of another kind of run.
    """
    facts = facts_of(path, *needed)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118


def facts_of(path: Path, *needed: str) -> dict:
    """The facts of a checkpoint, `needed` among them; errors as in `load`."""
    if not path.is_file():
        raise WrongInput(f"{path} is no checkpoint", "give the .safetensors of a training run")
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error})", "use an earlier checkpoint") from error
    if not isinstance(facts, dict) or (lacking := [name for name in needed if name not in facts]):
        what = "facts" if not isinstance(facts, dict) else lacking[0]
        raise InputError(f"{path} is of another kind of run (it states no {what})", "give this command's own kind")
    return facts


def fill(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load a module's state; InputError where the checkpoint `path` holds a network of another form."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{path} holds a network of another form", "give one of this version and config") from error


def prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def part(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}


def optimiser_tensors(optimiser: torch.optim.Optimizer, module: nn.Module) -> dict[str, torch.Tensor]:
    """AdamW's two moments of each parameter by name."""
    found = {}
    for name, parameter in module.named_parameters():
        for key in ("exp_avg", "exp_avg_sq", "step"):
            if key in optimiser.state.get(parameter, {}):
                found[f"{key}.{name}"] = optimiser.state[parameter][key]
    return found


def restore_optimiser(optimiser: torch.optim.Optimizer, module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    for name, parameter in module.named_parameters():
        if f"exp_avg.{name}" in tensors:
            optimiser.state[parameter] = {
                key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                for key in ("exp_avg", "exp_avg_sq", "step")
            }
