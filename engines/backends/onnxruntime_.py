"""ONNX Runtime: the embedded default. CPU everywhere, CUDA where its provider is installed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.built import BuildOptions, Built
from engines.backends.quiet_onnxruntime import ort
from engines.card import NEXT_SUFFIX, EngineCard
from engines.errors import EngineMismatch, StreamError, one_line
from engines.session import Arrays, BoundState, Session, bind_twins
from engines.state import State

NAME, PACKAGE, DEFAULT_DEVICE = "onnxruntime", "onnxruntime", "cpu"
COMPILES = ("fp32",)
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ERRORS_ONLY = 3


def version() -> str:
    return ort.__version__


def devices() -> list[str]:
    present = ort.get_available_providers()
    return [device for device, provider in _PROVIDERS.items() if provider in present]


def precisions(device: str) -> tuple[str, ...]:
    return ("fp32", "int8", "fp16") if device == "cpu" else ("fp32", "fp16")


def describe(device: str) -> dict[str, Any]:
    return {}


def build(content: bytes, card: EngineCard, precision: str, device: str, options: BuildOptions) -> Built:
    """The engine is an ONNX file with the precision in its own types."""
    from engines.backends.precision import convert_precision

    return convert_precision(content, card, precision, options.calibration, quantise_results=True)


def load(content: bytes, card: EngineCard, precision: str, device: str, threads: int) -> Session:
    return OnnxRuntimeSession(content, card, precision, device, threads)


def layer_times(
    content: bytes, card: EngineCard, precision: str, device: str, threads: int, inputs: Arrays, repeats: int
) -> list[tuple[str, str, float]]:
    """(layer, kind and kernel, ms a call) of a model, on the same inputs again and again."""
    feed = {**{name: card.inputs[name].empty() for name in card.state_names}, **inputs}
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        options = _options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "layers")
        engine = ort.InferenceSession(content, options, providers=[_PROVIDERS[device]])
        for _ in range(repeats):
            engine.run(None, feed)
        events = json.loads(Path(engine.end_profiling()).read_text(encoding="utf-8"))
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = (event["name"].removesuffix("_kernel_time"), event["args"]["op_name"])
            times.setdefault(key, []).append(event["dur"] / 1e3)
    return [(layer, kind, float(np.median(ms))) for (layer, kind), ms in times.items()]


class OnnxRuntimeSession(Session):
    def __init__(self, content: bytes, card: EngineCard, precision: str, device: str, threads: int) -> None:
        super().__init__(card, NAME, device, precision, threads)
        if device not in devices():
            raise EngineMismatch(f"this onnxruntime ({version()}) has no device {device!r}", "use --device cpu")
        try:
            self._engine = ort.InferenceSession(content, _options(threads), providers=[_PROVIDERS[device]])
        except Exception as error:  # the library raises its own types, none of them public
            what = f"onnxruntime refused {card.name}: {one_line(error)}"
            raise EngineMismatch(what, "voxcam build-engine") from error
        if _PROVIDERS[device] not in self._engine.get_providers():
            self._engine = None
            raise EngineMismatch(f"onnxruntime did not start {device}", "use --device cpu, or look at `voxcam doctor`")
        _refuse_other_tensors(self._engine, card)
        self._device_held: dict[str, Any] = {}
        self._rebuffer()

    def _rebuffer(self) -> None:
        self._plain = self._new_binding() if not self.state_tensors else None

    def _new_binding(self) -> Any:
        binding = self._engine.io_binding()
        for name, array in self.inputs.items():
            _bind_input(binding, name, array)
        for name, array in self.outputs.items():
            binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return binding

    def _bind(self, state: State) -> BoundState:
        first = bind_twins(self, state) if self.device == "cpu" else self._bind_on_device(state)
        for bound in (first, first.twin):
            bound.handle = binding = self._new_binding()
            for name, tensor in self.state_tensors.items():
                if isinstance(bound.arrays, DeviceArrays) and isinstance(bound.twin.arrays, DeviceArrays):
                    binding.bind_ortvalue_input(name, bound.arrays.values_on_device[name])
                    binding.bind_ortvalue_output(name + NEXT_SUFFIX, bound.twin.arrays.values_on_device[name])
                else:
                    _bind_input(binding, name, bound.arrays[name])
                    after = bound.twin.arrays[name]
                    binding.bind_output(
                        name + NEXT_SUFFIX, "cpu", 0, np.dtype(tensor.dtype).type, tensor.shape, after.ctypes.data
                    )
        return first

    def _bind_on_device(self, state: State) -> BoundState:
        def upload() -> DeviceArrays:
            arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
            return DeviceArrays({n: ort.OrtValue.ortvalue_from_numpy(a, self.device, 0) for n, a in arrays.items()})

        first, second = BoundState(upload(), self), BoundState(upload(), self)
        first.twin, second.twin = second, first
        second.spent = True
        return first

    def _upload_held(self) -> None:
        if self.device == "cpu" or self._plain is None:
            return  # host buffers are read where they lie
        for name in self.held:
            value = ort.OrtValue.ortvalue_from_numpy(self.inputs[name], self.device, 0)
            self._device_held[name] = value
            self._plain.bind_ortvalue_input(name, value)

    def _execute(self, handle: Any) -> None:
        try:
            self._engine.run_with_iobinding(handle or self._plain)
        except Exception as error:
            raise StreamError(f"onnxruntime failed in {self.card.name}: {one_line(error)}", "voxcam doctor") from error

    def _release(self) -> None:
        self._plain = self._engine = None


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a camera shares its cores
    return options


class DeviceArrays(Mapping[str, np.ndarray]):
    """State that stays on the device; reading an entry copies it to the host."""

    def __init__(self, values_on_device: dict[str, Any]) -> None:
        self.values_on_device = values_on_device

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values_on_device[name].numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_on_device)

    def __len__(self) -> int:
        return len(self.values_on_device)


def _bind_input(binding: Any, name: str, array: np.ndarray) -> None:
    binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _refuse_other_tensors(engine: ort.InferenceSession, card: EngineCard) -> None:
    """The buffers are made from the card: a graph with other shapes would write past them."""
    for side, actual in (("inputs", engine.get_inputs()), ("outputs", engine.get_outputs())):
        wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in getattr(card, side).items()}
        found = {node.name: (tuple(node.shape), _dtype(node.type)) for node in actual}
        if found != wanted:
            differing = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
            raise EngineMismatch(
                f"{card.name} has other {side} than its card says: {', '.join(differing)}", "voxcam build-engine"
            )


def _dtype(onnx_type: str) -> str:
    inner = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(inner, inner)
