"""`voxcam engines`: list, verify, profile and clean the engines of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engines import machine
from engines.backends import BACKENDS, find_backend
from engines.building.build import clean_engines, engine_cards, models, verify_engine
from engines.building.profile import profile_layers
from engines.card import EngineCard, read_checked
from engines.errors import EngineMismatch, VoxcamError, WrongInput
from engines.golden import golden_path, read_golden, verify
from engines.opening import open_session
from realtime.commands.options import AsJson

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[Path | None, typer.Option("--dir", help="folder that engines are kept in; the cache if left out")]


@app.callback()
def engines() -> None:
    """List, verify, profile and clean the engines of this machine."""


def _checked(folder: Path | None) -> Path | None:
    """WrongInput for a folder that was named and is not there: it would look as if all were well."""
    if folder is not None and not folder.is_dir():
        raise WrongInput(f"there is no folder {folder}", "check the path, or leave out --dir")
    return folder


@app.command("list")
def list_engines(folder: Folder = None, as_json: AsJson = False) -> None:
    """What this machine can run, the shipped models, and the engines that were built."""
    _checked(folder)
    backends = [_backend_row(name) for name in BACKENDS]
    built = [_engine_row(path, card) for path, card in engine_cards(folder)]
    if as_json:
        print(json.dumps({"backends": backends, "models": models(), "engines": built}, indent=1))
        return
    console = Console()
    console.print(_table(backends, ("backend", "version", "devices", "precisions")))
    console.print(f"models: {', '.join(models()) or 'none'}")
    if built:
        console.print(_table(built, ("engine", "size_mb", "verified")))
        for row in built:
            if row.get("note"):
                print(f"{row['engine']}: {row['note']}")
    else:
        console.print(f"no engines built yet in {folder or machine.default_engines_dir()}: voxcam build-engine")


@app.command("verify")
def verify_engines(folder: Folder = None, as_json: AsJson = False) -> None:
    """Replay the golden streams on the shipped models and on every engine; exit 1 if one is wrong."""
    _checked(folder)
    rows: list[dict[str, Any]] = []
    for name in models():
        row: dict[str, Any] = {"engine": f"{name} (model)", "backend": "onnxruntime", "precision": "fp32"}
        try:
            card, _ = read_checked(name)
            with open_session(name) as session:
                comparison = verify(session, read_golden(golden_path(card), card))
            row |= _verdict(comparison.passed, comparison.worst, "" if comparison.passed else comparison.refusal())
        except VoxcamError as error:
            row |= _verdict(False, None, str(error))
        rows.append(row)
    for path, found in engine_cards(folder):
        row = _engine_row(path, found)
        try:
            if isinstance(found, EngineMismatch):
                raise found
            comparison = verify_engine(path)
            row |= _verdict(True, comparison.worst, "")
        except VoxcamError as error:
            row |= _verdict(False, None, str(error))
        rows.append(row)
    if as_json:
        print(json.dumps({"engines": rows}, indent=1))
    else:
        Console().print(_table(rows, ("engine", "passed", "error")))
        for row in rows:
            if row["note"]:
                print(f"{row['engine']}: {row['note']}")
    if not all(row["passed"] for row in rows):
        raise typer.Exit(1)


@app.command("clean")
def clean(
    folder: Folder = None, everything: Annotated[bool, typer.Option("--all", help="also engines still good")] = False
) -> None:
    """Delete engines that cannot be used any more: damaged, of another model, version or machine."""
    gone = clean_engines(_checked(folder), everything)
    for path in gone:
        print(path.name)
    print(f"{len(gone)} files deleted")


@app.command("profile")
def profile(
    model: Annotated[str, typer.Option(help="a shipped model's name, or a card's path")] = "generator",
    backend: Annotated[str, typer.Option(help="onnxruntime or openvino")] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or int8")] = "fp32",
    threads: Annotated[int, typer.Option(min=1, help="processor threads")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="runs to average over")] = 50,
    rows: Annotated[int, typer.Option(min=1, help="layers to show")] = 20,
    as_json: AsJson = False,
) -> None:
    """Time by layer, slowest first."""
    layers = profile_layers(model, backend, precision, None, threads, repeats)
    found = [
        {"layer": layer.name[-60:], "kind": layer.kind, "ms": f"{layer.ms:.4f}", "share": f"{layer.share:.1%}"}
        for layer in layers
    ]
    if as_json:
        print(json.dumps({"model": model, "backend": backend, "precision": precision, "layers": found}, indent=1))
        return
    Console().print(_table(found[:rows], ("layer", "kind", "ms", "share")))
    print(f"{len(layers)} layers, {sum(layer.ms for layer in layers):.3f} ms a call in all")


def _backend_row(name: str) -> dict[str, Any]:
    try:
        module = find_backend(name)
        devices = module.devices()
        precisions = sorted({p for device in devices for p in module.precisions(device)})
        listed = ", ".join(devices) or "none here"
        return {"backend": name, "version": module.version(), "devices": listed, "precisions": ", ".join(precisions)}
    except (VoxcamError, ImportError) as error:
        return {"backend": name, "version": "-", "devices": str(error), "precisions": ""}


def _engine_row(path: Path, card: EngineCard | EngineMismatch) -> dict[str, Any]:
    if isinstance(card, EngineMismatch) or card.build is None:
        return {"engine": path.name, "note": str(card) if isinstance(card, EngineMismatch) else "no build record"}
    record = card.build
    return {
        "engine": path.name.removesuffix(".card.json"),
        "model": card.name,
        "backend": record.backend,
        "precision": record.precision,
        "size_mb": round(record.size_bytes / 1e6, 2),
        "verified": record.verified,
        "compute_capability": list(record.compute_capability),
        "note": record.note,
    }


def _verdict(passed: bool, worst: tuple[str, float] | None, note: str) -> dict[str, Any]:
    return {"passed": passed, "error": f"{worst[1]:.2g} ({worst[0]})" if worst else "-", "note": note}


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table:
    table = Table(*columns, box=None, header_style="bold")
    words = {True: "yes", False: "no"}
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        table.add_row(*(Text(words[cell] if isinstance(cell, bool) else str(cell)) for cell in cells))
    return table
