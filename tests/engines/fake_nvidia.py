"""Stand-ins for TensorRT and the CUDA driver that record calls and compute, so that a wrong order shows in numbers.

Device memory is host memory. Work on a stream is queued and done at synchronisation; between the begin and the end of a
capture it goes into the graph instead. An engine is an ONNX file with four bytes before it.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort

MAGIC = b"TRT1"
LAUNCH_FAILED, CAPTURE_INVALIDATED = 719, 901


class FakeCuda:
    """libcuda's functions as ctypes would call them."""

    def __init__(self, capability: tuple[int, int] = (8, 9)) -> None:
        self.calls: list[str] = []
        self.capability = capability
        self.memory: dict[int, Any] = {}
        self.queues: dict[int, list[Any]] = {}
        self.capturing: dict[int, list[Any]] = {}
        self.graphs: dict[int, list[Any]] = {}
        self.fail: dict[str, int] = {}
        self.refuse_capture = False
        self.copies: list[tuple[str, int]] = []
        self._next = 1000

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not name.startswith("cu") or name == "cuGetErrorName":
            return found

        def recorded(*arguments: Any) -> int:
            self.calls.append(name)
            return self.fail.pop(name, 0) or found(*arguments) or 0

        return recorded

    def enqueue(self, stream: int, work: Any) -> None:
        self.capturing.get(stream, self.queues.setdefault(stream, [])).append(work)

    def _number(self) -> int:
        self._next += 1
        return self._next

    def cuInit(self, flags):
        pass

    def cuDeviceGetCount(self, count):
        count._obj.value = 1

    def cuDeviceGet(self, device, ordinal):
        device._obj.value = 0

    def cuDevicePrimaryCtxRetain(self, context, device):
        context._obj.value = 7

    def cuCtxSetCurrent(self, context):
        pass

    def cuDeviceGetName(self, text, size, device):
        text.value = b"Fake GPU"

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = self.capability[{75: 0, 76: 1}[attribute.value]]

    def _allocate(self, address, size):
        block = ctypes.create_string_buffer(size.value)
        np.frombuffer(block, np.uint8)[:] = 0xFF  # not zeros: real memory holds anything, here NaN
        address._obj.value = ctypes.addressof(block)
        self.memory[address._obj.value] = block

    def cuMemAlloc_v2(self, address, size):
        self._allocate(address, size)

    def cuMemHostAlloc(self, address, size, flags):
        self._allocate(address, size)

    def cuMemFree_v2(self, address):
        del self.memory[address.value]

    def cuMemFreeHost(self, address):
        del self.memory[address.value]

    def cuStreamCreate(self, stream, flags):
        assert flags.value == 1, "the default stream's rules would serialise everything"
        stream._obj.value = self._number()

    def cuStreamDestroy_v2(self, stream):
        self.queues.pop(stream.value, None)

    def cuStreamSynchronize(self, stream):
        assert stream.value not in self.capturing, "synchronised during a capture"
        for work in self.queues.pop(stream.value, []):
            work()

    def _copy(self, kind, to, source, size, stream):
        assert stream.value not in self.capturing, "a host copy in a graph would read stale addresses"
        self.copies.append((kind, size.value))
        self.enqueue(stream.value, lambda: ctypes.memmove(to.value, source.value, size.value))

    def cuMemcpyHtoDAsync_v2(self, to, source, size, stream):
        self._copy("up", to, source, size, stream)

    def cuMemcpyDtoHAsync_v2(self, to, source, size, stream):
        self._copy("down", to, source, size, stream)

    def cuStreamBeginCapture_v2(self, stream, mode):
        assert not self.queues.get(stream.value), "unfinished work before a capture"
        self.capturing[stream.value] = []

    def cuStreamEndCapture(self, stream, graph):
        if self.refuse_capture:
            del self.capturing[stream.value]
            return CAPTURE_INVALIDATED
        graph._obj.value = self._number()
        self.graphs[graph._obj.value] = self.capturing.pop(stream.value)
        return 0

    def cuGraphInstantiateWithFlags(self, ready, graph, flags):
        ready._obj.value = self._number()
        self.graphs[ready._obj.value] = self.graphs[graph.value]

    def cuGraphDestroy(self, graph):
        del self.graphs[graph.value]

    def cuGraphExecDestroy(self, graph):
        del self.graphs[graph.value]

    def cuGraphLaunch(self, graph, stream):
        for work in self.graphs[graph.value]:
            self.enqueue(stream.value, work)

    def cuGetErrorName(self, status, name):
        name._obj.value = {LAUNCH_FAILED: b"CUDA_ERROR_LAUNCH_FAILED"}.get(status.value, b"CUDA_ERROR_UNKNOWN")


class ILogger:
    class Severity:
        ERROR = 1

    def __init__(self) -> None:
        pass


class IProgressMonitor:
    def __init__(self) -> None:
        pass


class OnnxParser:
    num_errors = 1

    def __init__(self, network, logger) -> None:
        self.network = network

    def parse(self, content: bytes) -> bool:
        if content.startswith(b"refuse"):
            return False
        self.network.content = content
        return True

    def get_error(self, index: int):
        return SimpleNamespace(desc=lambda: "Unsupported\n operator Foo")


class IBuilderConfig:
    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        self.targets: dict[int, str] = {}
        self.num_compute_capabilities = 0
        self.timing: Any = None
        self.progress_monitor: Any = None

    def set_memory_pool_limit(self, pool, size) -> None:
        self.limits[pool] = size

    def create_timing_cache(self, content: bytes):
        return SimpleNamespace(content=content, serialize=lambda: b"timings")

    def set_timing_cache(self, cache, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        if cache.content == b"another gpu":
            return False
        self.timing = cache
        return True

    def get_timing_cache(self):
        return self.timing

    def set_compute_capability(self, capability, index: int) -> bool:
        self.targets[index] = capability
        return index < self.num_compute_capabilities


class Builder:
    refuse = False

    def __init__(self, logger) -> None:
        self.logger = logger

    def create_network(self, flags: int):
        assert flags == 2, "only strongly typed networks are built"
        return SimpleNamespace(content=b"")

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        if Builder.refuse:
            self.logger.log(1, "Cannot compile\n operation X")
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 20)
        monitor.phase_start("Tactics", "Building", 1000)
        for step in range(20):
            assert monitor.step_complete("Tactics", step)
            assert monitor.step_complete("Building", step)
        monitor.phase_finish("Building")
        return MAGIC + network.content


class ICudaEngine:
    def __init__(self, content: bytes, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        self.tensors = {n.name: ("INPUT", n) for n in self.session.get_inputs()}
        self.tensors |= {n.name: ("OUTPUT", n) for n in self.session.get_outputs()}
        self.num_io_tensors = len(self.tensors)
        self.contexts: list[IExecutionContext] = []

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return self.tensors[name][0]

    def get_tensor_shape(self, name: str):
        return tuple(self.tensors[name][1].shape)

    def get_tensor_dtype(self, name: str) -> str:
        return {"tensor(float)": "FLOAT"}[self.tensors[name][1].type]

    def create_execution_context(self, runtime_config=None):
        self.contexts.append(IExecutionContext(self))
        return self.contexts[-1]

    def create_runtime_config(self):
        return IRuntimeConfig()


class IExecutionContext:
    refuse_address = ""
    fail = False

    def __init__(self, engine: ICudaEngine) -> None:
        self.engine, self.addresses = engine, {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self.engine.cuda.memory
        self.addresses[name] = address
        return name != IExecutionContext.refuse_address

    def execute_async_v3(self, stream: int) -> bool:
        if IExecutionContext.fail:
            return False
        self.engine.cuda.calls.append("execute_async_v3")
        assert stream, "not on the default stream"
        assert set(self.addresses) == set(self.engine.tensors), "a tensor without an address"
        bound = dict(self.addresses)
        self.engine.cuda.enqueue(stream, lambda: self._compute(bound))
        return True

    def _compute(self, bound: dict[str, int]) -> None:
        def array(name: str) -> np.ndarray:
            shape = self.engine.get_tensor_shape(name)
            count = int(np.prod(shape))
            return np.frombuffer((ctypes.c_float * count).from_address(bound[name]), np.float32).reshape(shape)

        modes = self.engine.tensors
        feed = {name: array(name) for name in modes if modes[name][0] == "INPUT"}
        names = [name for name in modes if modes[name][0] == "OUTPUT"]
        for name, value in zip(names, self.engine.session.run(names, feed), strict=True):
            array(name)[...] = value


class IRuntimeCache:
    kernels = b"kernels"

    def __init__(self) -> None:
        self.read: bytes | None = None

    def deserialize(self, content: bytes) -> bool:
        self.read = content
        return content == IRuntimeCache.kernels

    def serialize(self) -> bytes:
        return IRuntimeCache.kernels


class IRuntimeConfig:
    last: Any = None
    cuda_graph_strategy = "DISABLED"

    def __init__(self) -> None:
        IRuntimeConfig.last = self
        self.cache: Any = None

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache) -> bool:
        self.cache = cache
        return True


def make_tensorrt(cuda: FakeCuda, name: str = "tensorrt") -> Any:
    """The module."""

    class Runtime:
        def __init__(self, logger) -> None:
            pass

        def deserialize_cuda_engine(self, content: bytes):
            return ICudaEngine(content[4:], cuda) if content.startswith(MAGIC) else None

    Builder.refuse, IExecutionContext.fail, IExecutionContext.refuse_address = False, False, ""
    return SimpleNamespace(
        __name__=name,
        __version__="11.4.0",
        ILogger=ILogger,
        IProgressMonitor=IProgressMonitor,
        Builder=Builder,
        OnnxParser=OnnxParser,
        IBuilderConfig=IBuilderConfig,
        IExecutionContext=IExecutionContext,
        ICudaEngine=ICudaEngine,
        IRuntimeCache=IRuntimeCache,
        IRuntimeConfig=IRuntimeConfig,
        Runtime=Runtime,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
        MemoryPoolType=SimpleNamespace(WORKSPACE="WORKSPACE"),
        TensorIOMode=SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT"),
        CudaGraphStrategy=SimpleNamespace(DISABLED="DISABLED", WHOLE_GRAPH_CAPTURE="WHOLE_GRAPH_CAPTURE"),
        ComputeCapability=SimpleNamespace(
            SM75="SM75", SM80="SM80", SM86="SM86", SM89="SM89", SM120="SM120", SM121="SM121", CURRENT="CURRENT"
        ),
        nptype=lambda dtype: {"FLOAT": np.float32}[dtype],
    )
