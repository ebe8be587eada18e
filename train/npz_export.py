"""Fitted arrays -> NAME.npz and NAME.card.json: the hand-over of models that need no graph (teeth, the way to rest)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.card import EngineCard, TensorSpec, file_sha256
from engines.spec import SPEC
from engines.whole_file import write_npz


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
    path = folder / f"{name}.npz"
    write_npz(path, arrays)
    content = path.read_bytes()
    card = EngineCard(
        name=name,
        sha256=file_sha256(content),
        spec=SPEC,
        inputs={tensor: TensorSpec(shape) for tensor, shape in inputs.items()},
        outputs={tensor: TensorSpec(shape) for tensor, shape in outputs.items()},
        opset=0,
        metrics=metrics,
        data_licences=licences,
        file=path.name,
    )
    card.write(folder / f"{name}.card.json")
    print(f"{path}: {len(content) / 1000:.0f} kB")
    for figure, value in metrics.items():
        print(f"{figure:40} {value}")
