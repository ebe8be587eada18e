"""Where a step's time goes, layer by layer, as the backend's own profiler tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.backends import find_backend
from engines.card import card_path, read_checked
from engines.errors import ConfigError
from engines.golden import golden_path, read_golden


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    kind: str  # operator, and the kernel that was chosen for it
    ms: float  # a call
    share: float  # of the sum over layers


def profile_layers(
    card: str | Path,
    backend: str = "onnxruntime",
    precision: str = "fp32",
    device: str | None = None,
    threads: int = 1,
    repeats: int = 50,
) -> list[Layer]:
    """Layers of a model, slowest first. Profiling itself slows small layers: read shares, not sums."""
    path = card_path(card)
    found, content = read_checked(path)
    module = find_backend(backend)
    module.version()
    if not hasattr(module, "layer_times"):
        raise ConfigError(f"{backend} does not measure layers", "use --backend onnxruntime or openvino")
    device = device or module.DEFAULT_DEVICE
    if precision not in module.precisions(device):
        able = ", ".join(module.precisions(device))
        raise ConfigError(f"{backend} has no {precision} on {device}", f"choose one of {able}")
    golden = read_golden(golden_path(found, path.parent), found)
    if precision == "int8" or (backend == "onnxruntime" and precision != "fp32"):
        from engines.backends.precision import convert_precision

        content = convert_precision(content, found, precision, golden.inputs).content
    inputs = {name: array[-1] for name, array in golden.inputs.items()}
    rows = module.layer_times(content, found, precision, device, threads, inputs, repeats)
    total = sum(ms for _, _, ms in rows) or 1.0
    layers = [Layer(name, kind, ms, ms / total) for name, kind, ms in rows]
    return sorted(layers, key=lambda layer: -layer.ms)
