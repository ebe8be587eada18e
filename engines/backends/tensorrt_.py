"""TensorRT on the machine's own GPU. Needs the package `tensorrt` (proprietary licence) and an NVIDIA driver."""

from __future__ import annotations

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
from engines.session import Session

try:
    import tensorrt as trt
except ImportError:
    trt = None

NAME, PACKAGE, DEFAULT_DEVICE = "tensorrt", "tensorrt", "cuda"
COMPILES: tuple[str, ...] = ()
_REBUILD = "voxcam build-engine --backend tensorrt"


def version() -> str:
    return version_of(trt, "TensorRT", "tensorrt")


def devices() -> list[str]:
    version()
    return ["cuda"] if find_gpu() else []


def describe(device: str) -> dict[str, Any]:
    gpu = find_gpu()
    return {**gpu, "driver": machine.nvidia_driver()} if gpu else {}


def build(content: bytes, card: EngineCard, precision: str, device: str, options: BuildOptions) -> Built:
    version()
    typed = convert_precision(content, card, precision, options.calibration, beside_int8="fp16")
    builder, network, _kept = parse_typed(trt, typed.content, card.name)
    config = builder.create_builder_config()
    config.progress_monitor = report_phases(trt, options.progress)
    cache = config.create_timing_cache(options.timing_cache)
    timed = bool(config.set_timing_cache(cache, False))  # refused where it was measured on another GPU
    if not timed:
        config.set_timing_cache(config.create_timing_cache(b""), False)
    engine = serialise(trt, builder, network, config, card.name)
    timings = bytes(memoryview(config.get_timing_cache().serialize()))
    flags = {**typed.flags, "strongly_typed": True, "timing_cache": timed and bool(options.timing_cache)}
    return Built(engine, flags, typed.note, timings)


def load(content: bytes, card: EngineCard, precision: str, device: str, threads: int) -> Session:
    version()
    driver = open_driver()
    driver.make_current()
    engine, kept = deserialise(trt, content, card, f"{_REBUILD} --model {card.name} --precision {precision}")
    return TensorRtSession(
        trt, engine, kept, engine.create_execution_context, card, NAME, precision, driver, own_graph=True
    )
