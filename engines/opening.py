"""Open a model as a session: the one door to every backend."""

from __future__ import annotations

from pathlib import Path

from engines.session import Session


def open_session(
    card: str | Path,
    backend: str = "onnxruntime",
    device: str | None = None,
    precision: str = "fp32",
    threads: int = 1,
    engines_dir: Path | None = None,
) -> Session:
    """Open a model by a shipped name or its card's path; checked before anything is loaded.

    Takes the engine that `voxcam build-engine` made for this backend, device and precision where there is one, else
    compiles the model itself where the backend can. EngineMismatch with the command that helps where neither can
    be, ConfigError for a precision that the device lacks.
    No device means the backend's own: cpu, or cuda for TensorRT.
    `backend="auto"` measures what this machine can run, remembers the winner and falls back when it fails.
    """
    if backend == "auto":
        from engines.building.auto import open_auto

        return open_auto(card, device=device, threads=threads, engines_dir=engines_dir)
    from engines.building.build import open_engine

    return open_engine(card, backend, device, precision, threads, engines_dir)
