"""From a checked model to an engine for this machine: built once, kept by content, verified before it is trusted."""

from __future__ import annotations

from pathlib import Path

from engines.backends import find_backend
from engines.card import read_checked
from engines.errors import EngineMismatch
from engines.session import Session


def open_engine(
    card: str | Path, backend: str, device: str, precision: str, threads: int, engines_dir: Path | None = None
) -> Session:
    """`open_session` for a named backend."""
    found, content = read_checked(card)
    module = find_backend(backend)
    if precision not in module.COMPILES:
        raise EngineMismatch(f"no {precision} engine of {found.name} for {backend}", "voxcam build-engine")
    return module.load(content, found, precision, device, threads)
