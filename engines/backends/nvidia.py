"""What TensorRT and TensorRT-RTX share: strongly typed building, and a session on CUDA streams.

Their Python interfaces are the same where we use them; the module (`tensorrt` or `tensorrt_rtx`) is passed in.
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/python-api-docs.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from engines.backends.cuda_driver import CudaDriver, DeviceMemory
from engines.card import NEXT_SUFFIX, EngineCard, TensorSpec
from engines.errors import DeviceError, EngineMismatch, StreamError
from engines.session import BoundState, Session
from engines.state import State

WORKSPACE_BYTES = 1 << 29


def version_of(trt: Any, name: str, extra: str) -> str:
    """The library's version; EngineMismatch where it is not installed."""
    if trt is None:
        raise EngineMismatch(f"{name} is not installed", f'pip install "voxcam[{extra}]"')
    return trt.__version__


def precisions(device: str) -> tuple[str, ...]:
    """What can be built; both libraries build all of them for every device."""
    return ("fp32", "fp16", "bf16", "int8")


def parse_typed(trt: Any, content: bytes, name: str) -> tuple[Any, Any, list[Any]]:
    """Builder and strongly typed network of an ONNX file, and the objects that must outlive them."""
    log = collect_log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(content):
        reasons = "; ".join(" ".join(parser.get_error(i).desc().split()) for i in range(parser.num_errors))
        raise EngineMismatch(f"{trt.__name__} refused {name}: {reasons[:300]}", "use another backend or precision")
    return builder, network, [log, parser]


def serialise(
    trt: Any, builder: Any, network: Any, config: Any, name: str, fix: str = "use another backend or precision"
) -> bytes:
    """Build; None means that it failed, and no exception says so: the reason is in the log."""
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        reason = "; ".join(getattr(builder.logger, "errors", [])[:2]) or "no reason given"
        raise EngineMismatch(f"{trt.__name__} could not build {name}: {reason}", fix)
    return bytes(memoryview(engine))


def report_phases(trt: Any, progress: Callable[[str], None]) -> Any:
    """A monitor that tells how far the outermost phase of a build is, in steps of a tenth."""

    class Phases(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.told = -1

        def phase_start(self, name: str, parent: str | None, num_steps: int) -> None:
            if parent is None:
                self.steps[name], self.told = num_steps, -1

        def step_complete(self, name: str, step: int) -> bool:
            if self.steps.get(name):
                tenth = 10 * (step + 1) // self.steps[name]
                if tenth > self.told:
                    self.told = tenth
                    progress(f"{name}: {10 * tenth} %")
            return True  # go on

        def phase_finish(self, name: str) -> None:
            self.steps.pop(name, None)

    return Phases()


def collect_log(trt: Any) -> Any:
    """A logger that keeps the library's errors for our message, instead of printing them."""

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split())[:300])

    return Log()


def deserialise(trt: Any, content: bytes, card: EngineCard, fix: str) -> tuple[Any, list[Any]]:
    """The engine, and the objects that must outlive it. None, which the library gives without a word, is our error."""
    log = collect_log(trt)
    runtime = trt.Runtime(log)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        version = card.build.backend_version if card.build else "?"
        reason = "; ".join(log.errors[:1]) or "it is for another version or GPU, or there is no GPU or driver here"
        what = (
            f"{trt.__name__} {trt.__version__} cannot open the engine of {card.name} (built with {version}): {reason}"
        )
        raise EngineMismatch(what, fix)
    return engine, [runtime, log]


class TensorRtSession(Session):
    """Host buffers are pinned; state lies on the GPU and never leaves it between steps; one CUDA graph a direction."""

    def __init__(
        self,
        trt: Any,
        engine: Any,
        keep_alive: list[Any],
        new_context: Callable[[], Any],
        card: EngineCard,
        backend: str,
        precision: str,
        driver: CudaDriver,
        own_graph: bool,
        after_first_run: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(card, backend, "cuda", precision, 1)
        self._trt, self._engine, self._keep_alive, self._new_context = trt, engine, keep_alive, new_context
        self._driver, self._own_graph, self._after_first_run = driver, own_graph, after_first_run
        _refuse_other_tensors(trt, engine, card)
        driver.make_current()
        self._stream = driver.create_stream()
        self.inputs = {name: driver.pinned(array.shape, array.dtype.name) for name, array in self.inputs.items()}
        self.outputs = {name: driver.pinned(array.shape, array.dtype.name) for name, array in self.outputs.items()}
        self._memory = {name: driver.allocate(array.nbytes) for name, array in {**self.inputs, **self.outputs}.items()}
        self._directions: list[_Direction] = []
        self._plain: _Direction | None = None
        if not self.state_tensors:
            self._plain = self._prepare({}, {})

    def _rebuffer(self) -> None:
        pass  # host arrays are looked up at each copy

    def _prepare(self, before: Mapping[str, DeviceMemory], after: Mapping[str, DeviceMemory]) -> _Direction:
        """A context with all addresses set once, warmed up, and its CUDA graph where it can be captured."""
        context = self._new_context()
        if context is None:
            raise EngineMismatch(f"{self.backend} made no context for {self.card.name}", "free GPU memory")
        addresses = {name: memory.address for name, memory in self._memory.items()}
        addresses |= {name: memory.address for name, memory in before.items()}
        addresses |= {name + NEXT_SUFFIX: memory.address for name, memory in after.items()}
        for name, address in addresses.items():
            if not context.set_tensor_address(name, address):
                raise EngineMismatch(f"{self.backend} refused the address of {name}", "voxcam build-engine")
        direction = _Direction(context, before, after)
        self._enqueue(context)  # the first run compiles and allocates, which a capture may not
        self._driver.synchronise(self._stream)
        self._after_first_run()
        if self._own_graph:
            direction.graph = self._capture(context)
        self._directions.append(direction)
        return direction

    def _capture(self, context: Any) -> int:
        """One run as a CUDA graph; 0 where it cannot be captured, and is then enqueued each time."""
        self._driver.begin_capture(self._stream)
        taken = context.execute_async_v3(self._stream)
        try:
            graph = self._driver.end_capture(self._stream)
        except DeviceError:
            return 0
        if not taken:
            self._driver.destroy_graph(graph)
            return 0
        return graph

    def _enqueue(self, context: Any) -> None:
        if not context.execute_async_v3(self._stream):
            raise StreamError(f"{self.backend} failed to run {self.card.name}", "voxcam doctor")

    def _bind(self, state: State) -> BoundState:
        self._driver.make_current()
        sizes = {name: tensor.nbytes for name, tensor in self.state_tensors.items()}
        sides = [{name: self._driver.allocate(nbytes) for name, nbytes in sizes.items()} for _ in range(2)]
        first, second = (BoundState(_DeviceArrays(side, self), self) for side in sides)
        first.twin, second.twin = second, first
        first.handle, second.handle = self._prepare(sides[0], sides[1]), self._prepare(sides[1], sides[0])
        second.spent = True
        for name, memory in sides[0].items():  # only now: warming up wrote on both sides
            self._driver.upload(memory, np.ascontiguousarray(state.arrays[name]), self._stream)
        self._driver.synchronise(self._stream)
        return first

    def _upload_held(self) -> None:
        self._driver.make_current()
        for name in self.held:
            self._driver.upload(self._memory[name], self.inputs[name], self._stream)
        self._driver.synchronise(self._stream)

    def _execute(self, handle: Any) -> None:
        direction: Any = handle or self._plain
        driver, stream = self._driver, self._stream
        try:
            driver.make_current()  # sessions are opened on one thread and run on another
            for name, array in self.inputs.items():
                if name not in self.held:
                    driver.upload(self._memory[name], array, stream)
            if direction.graph:
                driver.launch(direction.graph, stream)
            else:
                self._enqueue(direction.context)
            for name, array in self.outputs.items():
                driver.download(array, self._memory[name], stream)
            driver.synchronise(stream)
        except DeviceError as error:
            raise StreamError(error.what, error.fix) from error

    def _release(self) -> None:
        for direction in self._directions:
            if direction.graph:
                self._driver.destroy_graph(direction.graph)
        self._directions, self._plain = [], None
        self._memory = {}
        self._driver.destroy_stream(self._stream)
        self._engine, self._keep_alive = None, []


class _Direction:
    """One way through the graph: from one set of state memory to the other."""

    def __init__(self, context: Any, before: Mapping[str, DeviceMemory], after: Mapping[str, DeviceMemory]) -> None:
        self.context = context
        self.memory = (before, after)  # kept alive as long as the context may write it
        self.graph = 0


class _DeviceArrays(Mapping[str, np.ndarray]):
    """State on the GPU; reading an entry copies it to the host."""

    def __init__(self, memory: Mapping[str, DeviceMemory], session: TensorRtSession) -> None:
        self._memory, self._session = memory, session

    def __getitem__(self, name: str) -> np.ndarray:
        session = self._session
        array = session.state_tensors[name].empty()
        session._driver.make_current()
        session._driver.download(array, self._memory[name], session._stream)
        session._driver.synchronise(session._stream)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._memory)

    def __len__(self) -> int:
        return len(self._memory)


def _refuse_other_tensors(trt: Any, engine: Any, card: EngineCard) -> None:
    """Buffers are made from the card: an engine with other tensors would write past them."""
    found: dict[str, tuple[bool, TensorSpec]] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        found[name] = (is_input, TensorSpec(tuple(engine.get_tensor_shape(name)), dtype))
    wanted = {name: (True, tensor) for name, tensor in card.inputs.items()}
    wanted |= {name: (False, tensor) for name, tensor in card.outputs.items()}
    if found != wanted:
        differing = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        what = f"{card.name}'s engine has other tensors than its card: {', '.join(differing)}"
        raise EngineMismatch(what, "voxcam build-engine")
