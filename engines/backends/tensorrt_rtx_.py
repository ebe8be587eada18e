"""TensorRT for RTX: engines built ahead of time, also with no GPU. Needs `tensorrt-rtx-cu13` (proprietary licence).

Kernels are compiled on the user's GPU at the first run, into a runtime cache that we keep: keyed by engine, GPU and
driver, and checked by the library itself when it is read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from engines import machine
from engines.backends.built import BuildOptions, Built
from engines.backends.cuda_driver import find_gpu, open_driver
from engines.backends.nvidia import (
    TensorRtSession,
    deserialise,
    parse_typed,
    precisions,  # noqa: F401  of the backend
    report_phases,
    serialise,
    version_of,
)
from engines.backends.precision import convert_precision
from engines.card import EngineCard
from engines.errors import EngineMismatch
from engines.session import Session
from engines.whole_file import write_atomically

try:
    import tensorrt_rtx as trt
except ImportError:
    trt = None

NAME, PACKAGE, DEFAULT_DEVICE = "tensorrt-rtx", "tensorrt-rtx-cu13", "cuda"
COMPILES: tuple[str, ...] = ()
COMPUTE_CAPABILITIES = {"7.5": "SM75", "8.0": "SM80", "8.6": "SM86", "8.9": "SM89", "12.0": "SM120", "12.1": "SM121"}
_REBUILD = "voxcam build-engine --backend tensorrt-rtx"


def version() -> str:
    return version_of(trt, "TensorRT-RTX", "tensorrt-rtx")


def devices() -> list[str]:
    version()
    return ["cuda"] if find_gpu() else []


def describe(device: str) -> dict[str, Any]:
    """Compute capability only: a new driver needs no new engine, since kernels are compiled at the first run."""
    return {"compute_capability": find_gpu().get("compute_capability", ())}


def build(content: bytes, card: EngineCard, precision: str, device: str, options: BuildOptions) -> Built:
    """For the compute capabilities asked for, all in one file; without any, for the GPU that is here."""
    version()
    turing = "7.5" in options.compute_capability
    typed = convert_precision(content, card, precision, options.calibration, "fp16", float_products=not turing)
    builder, network, _kept = parse_typed(trt, typed.content, card.name)
    config = builder.create_builder_config()
    config.progress_monitor = report_phases(trt, options.progress)
    names = [COMPUTE_CAPABILITIES[capability] for capability in options.compute_capability] or ["CURRENT"]
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name), index):
            raise EngineMismatch(f"TensorRT-RTX {version()} does not build for {name}", "leave it out")
    fix = "use --precision fp16 or int8, or leave out 7.5" if turing else "use another precision"
    engine = serialise(trt, builder, network, config, card.name, fix)
    return Built(engine, {**typed.flags, "strongly_typed": True, "targets": names}, typed.note)


def load(content: bytes, card: EngineCard, precision: str, device: str, threads: int) -> Session:
    version()
    fix = f"{_REBUILD} --model {card.name} --precision {precision}"
    gpu = find_gpu()
    if not gpu:
        deserialise(trt, content, card, fix)  # says what the library says: nothing, so our own words
        raise EngineMismatch("there is no NVIDIA GPU or driver here", "use --backend onnxruntime")
    driver = open_driver()
    driver.make_current()
    engine, kept = deserialise(trt, content, card, fix)
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    cache = config.create_runtime_cache()
    path = runtime_cache_path(card, gpu["device_name"])
    before = path.read_bytes() if path.exists() else b""
    if before and not cache.deserialize(before):
        before = b""  # of another driver or damaged: kernels are compiled again
    config.set_runtime_cache(cache)

    def keep_kernels() -> None:
        found = bytes(memoryview(cache.serialize()))
        if found and found != before:
            write_atomically(path, found)

    def new_context() -> Any:
        return engine.create_execution_context(config)

    return TensorRtSession(
        trt, engine, [*kept, config, cache], new_context, card, NAME, precision, driver, False, keep_kernels
    )


def runtime_cache_path(card: EngineCard, gpu: str) -> Path:
    """Where the kernels compiled for this engine, GPU and driver are kept."""
    key = hashlib.sha256(f"{card.sha256} {gpu} {machine.nvidia_driver()} {version()}".encode()).hexdigest()[:12]
    return machine.default_engines_dir() / f"{card.name}-{key}.kernels"
