"""Session: one loaded engine, run step by step on buffers that are made once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from engines.card import STATE_PREFIX, EngineCard, TensorSpec
from engines.errors import StreamError
from engines.state import State

Arrays = Mapping[str, np.ndarray]


class BoundState(State):
    """A stream's state in buffers of one session. A step reads it and writes `twin`: two sets of buffers, no copy."""

    __slots__ = ("handle", "owner", "spent", "twin")

    def __init__(self, arrays: Arrays, owner: Session) -> None:
        super().__init__(arrays)
        self.owner = owner
        self.handle: Any = None  # what the backend binds once: reads self.arrays, writes twin.arrays
        self.spent = False
        self.twin: BoundState = self


class Session(ABC):
    """One engine, loaded. Not for two threads at once; outputs are overwritten by the next call: copy to keep.

    Many streams may share a session: each has its own state and they never mix.
    """

    def __init__(self, card: EngineCard, backend: str, device: str, precision: str, threads: int) -> None:
        self.card, self.backend, self.device, self.precision, self.threads = card, backend, device, precision, threads
        self.inputs = {n: t.empty() for n, t in card.inputs.items() if not n.startswith(STATE_PREFIX)}
        self.outputs = {n: t.empty() for n, t in card.outputs.items() if not n.startswith(STATE_PREFIX)}
        self.state_tensors: dict[str, TensorSpec] = {name: card.inputs[name] for name in card.state_names}
        self.held: frozenset[str] = frozenset()
        self.calls = 0  # engine calls and bytes copied by us, for the budget guard
        self.bytes_copied = 0
        self.closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def init_state(self) -> State:
        """The state at a stream's start: zeros."""
        return self.adopt(State({name: tensor.empty() for name, tensor in self.state_tensors.items()}))

    def adopt(self, state: State) -> BoundState:
        """Copy a state (saved, or of another session) into buffers of this one."""
        if state.arrays.keys() != self.state_tensors.keys():
            raise StreamError(f"the state is of another model than {self.card.name}", "start with init_state()")
        for name, tensor in self.state_tensors.items():
            array = state.arrays[name]
            if array.shape != tensor.shape or array.dtype != tensor.dtype:
                raise StreamError(
                    f"{name} is {array.dtype}{array.shape}, not {tensor.dtype}{tensor.shape}", "start with init_state()"
                )
        self._refuse_closed()
        return self._bind(state)

    def step(self, inputs: Arrays, state: State) -> tuple[dict[str, np.ndarray], State]:
        """One step of a stream: outputs and the state after it. The state given is spent."""
        if not isinstance(state, BoundState) or state.owner is not self:
            state = self.adopt(state)
        if state.spent:
            raise StreamError("this state is spent: a later step has followed it", "go on from the state it returned")
        self._refuse_closed()
        self._write(inputs)
        self._execute(state.handle)
        self.calls += 1
        state.spent, state.twin.spent = True, False
        return self.outputs, state.twin

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """One call of a graph without state."""
        if self.state_tensors:
            raise StreamError(f"{self.card.name} has state", "call step(inputs, state)")
        self._refuse_closed()
        self._write(inputs)
        self._execute(None)
        self.calls += 1
        return self.outputs

    def hold(self, **inputs: np.ndarray) -> None:
        """Set inputs that stay until they are held anew (a portrait's features): later calls leave them out."""
        self.held = frozenset()
        self._write(inputs, partly=True)
        self.held = frozenset(inputs)
        self._upload_held()

    def close(self) -> None:
        """Let go of the engine; safe to call twice."""
        if not self.closed:
            self.closed = True
            self._release()

    def _write(self, inputs: Arrays, partly: bool = False) -> None:
        for name, value in inputs.items():
            buffer = self.inputs.get(name)
            if buffer is None:
                raise StreamError(f"{self.card.name} has no input {name!r}", f"inputs: {', '.join(self.inputs)}")
            if value is buffer:
                continue
            if value.shape != buffer.shape:
                raise StreamError(f"input {name} has shape {value.shape}, not {buffer.shape}", "pass the fixed shape")
            np.copyto(buffer, value, casting="same_kind")
            self.bytes_copied += buffer.nbytes
        if not partly and len(inputs) + len(self.held) < len(self.inputs):
            missing = sorted(set(self.inputs) - set(inputs) - self.held)
            if missing:
                raise StreamError(f"{self.card.name} lacks inputs: {', '.join(missing)}", "pass or hold all of them")

    def share_buffers(self, other: Session) -> None:
        """Read and write the buffers of another session of the same model, so that callers' views of them stay good."""
        self.inputs, self.outputs, self.held = other.inputs, other.outputs, other.held
        self._rebuffer()
        if self.held:
            self._upload_held()

    def _refuse_closed(self) -> None:
        if self.closed:
            raise StreamError(f"the session of {self.card.name} is closed", "open it again")

    def _upload_held(self) -> None:  # noqa: B027  (backends with device memory override it)
        pass

    @abstractmethod
    def _rebuffer(self) -> None:
        """Bind self.inputs and self.outputs, which are other arrays now."""

    @abstractmethod
    def _bind(self, state: State) -> BoundState:
        """Two sets of state buffers, the first holding `state`; handles made once."""

    @abstractmethod
    def _execute(self, handle: Any) -> None:
        """Run on self.inputs into self.outputs; handle is a BoundState's, or None for a graph without state."""

    @abstractmethod
    def _release(self) -> None:
        """Free the engine."""


def bind_twins(owner: Session, state: State) -> BoundState:
    """Two BoundStates on host memory that point at each other; the backend adds the handles."""
    first = BoundState({name: np.array(array) for name, array in state.arrays.items()}, owner)
    second = BoundState({name: np.zeros_like(array) for name, array in first.arrays.items()}, owner)
    first.twin, second.twin = second, first
    second.spent = True
    return first
