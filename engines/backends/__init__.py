"""Backends: one vendor library per file, imported only when it is asked for.

Each module has NAME, PACKAGE, DEFAULT_DEVICE, COMPILES (precisions that it compiles from a model at loading, with no
build before) and

    version() -> str                           EngineMismatch with the command to install it where it is missing
    devices() -> list[str]                     devices of this machine that it can run on
    precisions(device) -> tuple[str, ...]      what `build` can make for the device
    describe(device) -> dict                   device_name, driver, compute_capability, as far as known
    build(content, card, precision, device, options) -> Built
    load(content, card, precision, device, threads) -> Session
    layer_times(content, card, precision, device, threads, inputs, repeats)   where the library measures layers
"""

from __future__ import annotations

import importlib
from types import ModuleType

from engines.errors import ConfigError

BACKENDS = ("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


def find_backend(name: str) -> ModuleType:
    """The module of a backend; ConfigError for a name that is none. Imports no vendor library yet."""
    if name not in BACKENDS:
        raise ConfigError(f"no backend {name!r}", f"choose one of {', '.join(BACKENDS)}")
    return importlib.import_module(f"engines.backends.{name.replace('-', '_')}_")
