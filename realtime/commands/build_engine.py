"""`voxcam build-engine`: engines for this machine, verified before they are trusted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from engines.building.build import BuildResult, build_engine, models
from engines.errors import ConfigError, VoxcamError
from realtime.cli import say
from realtime.commands.options import AsJson

_PART_OF = {"motion": "encoder"}  # the motion head is a part of encoder.onnx


def command(
    model: Annotated[str, typer.Option(help="all, encoder, generator, portrait_encoder, or a card's path")] = "all",
    backend: Annotated[str, typer.Option(help="onnxruntime, openvino, tensorrt or tensorrt-rtx")] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or int8")] = "fp32",
    compute_capability: Annotated[str | None, typer.Option(help="for tensorrt-rtx, such as 7.5,8.6,8.9,12.0")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; the backend's own if left out")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to keep engines in; the cache if left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Build engines for this machine and verify them against their golden stream."""
    capabilities = tuple(part.strip() for part in (compute_capability or "").split(",") if part.strip())
    rows: list[dict[str, Any]] = []
    failed: VoxcamError | None = None
    for card in _cards(model):
        try:
            result = build_engine(card, backend, precision, device, capabilities, out, say)
        except VoxcamError as error:
            if isinstance(error, ConfigError) or model != "all":
                raise
            failed = error  # the other models are still built
            rows.append({"model": card, "error": str(error)})
            say(f"{card}: {error}")
            continue
        rows.append(_row(result))
        if not as_json:
            print(_sentence(result))
    if as_json:
        print(json.dumps({"engines": rows}, indent=1))
    if failed is not None:
        raise typer.Exit(1)


def _cards(model: str) -> list[str]:
    if model == "all":
        return models()
    if model in _PART_OF:
        say(f"the {model} head is a part of the {_PART_OF[model]}")
        return [_PART_OF[model]]
    if model not in models() and not model.endswith((".json", ".onnx")):
        raise ConfigError(f"no model {model!r}", f"choose all, {', '.join(models())}, or a card's path")
    return [model]


def _row(result: BuildResult) -> dict[str, Any]:
    record = result.card.build
    row = {"model": result.card.name, "path": str(result.path), "built": result.built}
    return row | (asdict(record) if record else {})


def _sentence(result: BuildResult) -> str:
    record = result.card.build
    if record is None:
        return f"{result.card.name}: {result.path}"
    size = f"{record.size_bytes / 1e6:.1f} MB"
    how = f"built in {record.build_s:.1f} s" if result.built else "in the cache"
    if record.verified:
        name, value = max(record.error.items(), key=lambda item: item[1])
        checked = f"verified, largest error {value:.2g} ({name})"
    else:
        checked = "not verified yet"
    note = f" ({record.note})" if record.note else ""
    return f"{result.card.name} {record.backend} {record.precision}: {size}, {how}, {checked}{note}\n  {result.path}"
