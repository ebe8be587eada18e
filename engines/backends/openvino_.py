"""OpenVINO: the fastest on most CPUs. Needs the package `openvino` (Apache-2.0).

Engines are exported compiled models. The precision hint must be given again at import: without it a model compiled in
f32 comes back in the CPU's default, which is bf16 where the CPU has it.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import numpy as np

from engines.backends.built import BuildOptions, Built
from engines.card import NEXT_SUFFIX, EngineCard
from engines.errors import EngineMismatch, StreamError, one_line
from engines.session import Arrays, BoundState, Session, bind_twins
from engines.state import State

_missing: ImportError | None = None
# By itself it asks a server whose statistics may be sent, in a child process; missing, it takes a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
try:
    import openvino as ov
except ImportError as error:
    ov, _missing = None, error

NAME, PACKAGE, DEFAULT_DEVICE = "openvino", "openvino", "cpu"
COMPILES = ("fp32", "bf16")
_cores: list[Any] = []
_making = threading.Lock()
_HINT = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}  # int8: what is not quantised stays f32


def version() -> str:
    if ov is None:
        raise EngineMismatch("OpenVINO is not installed", 'pip install "voxcam[openvino]"') from _missing
    return ov.__version__.split("-")[0]


def _core() -> Any:
    """The process's one core, which lives as long as it.

    A core gives the thread that first uses it a stack for signals (`SigAltStackSetup` of its CPU plugin; seen with
    2026.4) and unmaps it when it goes. Did it go in another thread, or two in the order in which they came, the thread
    would be left with a stack that is gone, and its next signal, a Ctrl-C, would end the program without a word.
    """
    with _making:
        if not _cores:
            _cores.append(ov.Core())
    return _cores[0]


def devices() -> list[str]:
    version()
    return [name.lower() for name in _core().available_devices]


def precisions(device: str) -> tuple[str, ...]:
    """What the device computes in; bf16 only where the CPU has it, since emulated it is slower than f32."""
    able = set(_core().get_property(device.upper(), "OPTIMIZATION_CAPABILITIES"))
    names = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}
    return tuple(precision for precision, capability in names.items() if capability in able)


def describe(device: str) -> dict[str, Any]:
    return {"device_name": str(_core().get_property(device.upper(), "FULL_DEVICE_NAME"))}


def build(content: bytes, card: EngineCard, precision: str, device: str, options: BuildOptions) -> Built:
    version()
    note = ""
    if precision == "int8":
        from engines.backends.precision import convert_precision

        typed = convert_precision(content, card, "int8", options.calibration)
        content, note = typed.content, typed.note
    compiled = _compile(content, card, precision, device, threads=1)
    stream = io.BytesIO()  # without one, releases differ in what they give back
    compiled.export_model(stream)
    return Built(stream.getvalue(), {"inference_precision": _HINT[precision]}, note)


def load(content: bytes, card: EngineCard, precision: str, device: str, threads: int) -> Session:
    version()
    if card.build is None:
        compiled = _compile(content, card, precision, device, threads)
    else:
        try:
            compiled = _core().import_model(io.BytesIO(content), device.upper(), _config(precision, threads))
        except RuntimeError as error:
            raise EngineMismatch(f"openvino refused its engine: {one_line(error)}", "voxcam build-engine") from error
    return OpenVinoSession(compiled, card, precision, device, threads)


def layer_times(
    content: bytes, card: EngineCard, precision: str, device: str, threads: int, inputs: Arrays, repeats: int
) -> list[tuple[str, str, float]]:
    """(layer, kind and kernel, ms a call) of a model, on the same inputs again and again."""
    version()
    compiled = _compile(content, card, precision, device, threads, PERF_COUNT=True)
    session = OpenVinoSession(compiled, card, precision, device, threads)
    state = session.init_state()
    request = state.handle if isinstance(state, BoundState) and session.state_tensors else session._plain
    for name, array in inputs.items():
        session.inputs[name][...] = array
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        request.infer()
        for entry in request.profiling_info:
            key = (entry.node_name, f"{entry.node_type} {entry.exec_type}")
            times.setdefault(key, []).append(entry.real_time.total_seconds() * 1e3)
    found = [(layer, kind, float(np.median(ms))) for (layer, kind), ms in times.items()]
    return [(layer, kind, ms) for layer, kind, ms in found if ms > 0]


def _config(precision: str, threads: int, **more: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _HINT[precision], "PERFORMANCE_HINT": "LATENCY"}
    return config | {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False} | more


def _compile(content: bytes, card: EngineCard, precision: str, device: str, threads: int, **more: Any) -> Any:
    core = _core()
    if device.upper() not in core.available_devices:
        raise EngineMismatch(f"OpenVINO finds no device {device!r} here", "use --device cpu")
    try:
        return core.compile_model(core.read_model(content), device.upper(), _config(precision, threads, **more))
    except RuntimeError as error:
        what = f"openvino refused {card.name}: {one_line(error)}"
        raise EngineMismatch(what, "use --backend onnxruntime") from error


class OpenVinoSession(Session):
    def __init__(self, compiled: Any, card: EngineCard, precision: str, device: str, threads: int) -> None:
        super().__init__(card, NAME, device, precision, threads)
        self._compiled = compiled
        self._plain: Any = None
        for side, ports in (("inputs", compiled.inputs), ("outputs", compiled.outputs)):
            wanted = {name: tensor.shape for name, tensor in getattr(card, side).items()}
            found = {name: tuple(port.shape) for port in ports for name in port.names}  # a port may have several
            if len(ports) != len(wanted) or any(found.get(name) != shape for name, shape in wanted.items()):
                raise EngineMismatch(f"{card.name} has other {side} than its card says", "voxcam build-engine")
        self._rebuffer()

    def _rebuffer(self) -> None:
        self._plain = None if self.state_tensors else self._new_request()

    def _new_request(self) -> Any:
        request = self._compiled.create_infer_request()
        for arrays in (self.inputs, self.outputs):
            for name, array in arrays.items():
                request.set_tensor(name, ov.Tensor(array, shared_memory=True))
        return request

    def _bind(self, state: State) -> BoundState:
        first = bind_twins(self, state)
        for bound in (first, first.twin):
            bound.handle = self._new_request()
            for name in self.state_tensors:
                bound.handle.set_tensor(name, ov.Tensor(bound.arrays[name], shared_memory=True))
                after = bound.twin.arrays[name]
                bound.handle.set_tensor(name + NEXT_SUFFIX, ov.Tensor(after, shared_memory=True))
        return first

    def _execute(self, handle: Any) -> None:
        request = handle or self._plain
        try:
            request.start_async()  # infer() would wrap every output in a new dictionary
            request.wait()
        except RuntimeError as error:
            raise StreamError(f"openvino failed in {self.card.name}: {one_line(error)}", "voxcam doctor") from error

    def _release(self) -> None:
        self._plain = self._compiled = None
