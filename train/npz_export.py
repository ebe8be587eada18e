"""Fitted arrays -> NAME.npz and NAME.card.json: the hand-over of models that need no graph (teeth, the way to rest)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.card import EngineCard, TensorSpec, file_sha256, write_atomically
from engines.spec import SPEC


def export_npz(
    folder: Path,
    name: str,
    arrays: Mapping[str, np.ndarray],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    metrics: Mapping[str, Any],
    licences: Mapping[str, str],
) -> None:
    """Write both files, each beside and renamed, and say what came of it; inputs and outputs: shapes by name."""
    stored = io.BytesIO()
    np.savez_compressed(stored, **dict(arrays))  # type: ignore[arg-type]
    content = stored.getvalue()
    card = EngineCard(
        name=name,
        sha256=file_sha256(content),
        spec=SPEC,
        inputs={tensor: TensorSpec(shape) for tensor, shape in inputs.items()},
        outputs={tensor: TensorSpec(shape) for tensor, shape in outputs.items()},
        opset=0,
        metrics=metrics,
        data_licences=licences,
        file=f"{name}.npz",
    )
    write_atomically(folder / card.file, content)
    card.write(folder / f"{name}.card.json")
    print(f"{folder / card.file}: {len(content) / 1000:.0f} kB")
    for figure, value in metrics.items():
        print(f"{figure:40} {value}")
