"""auto: the fastest engine of this machine that passes its golden stream, and the next one when it fails.

Measured once a machine, remembered under a fingerprint of processor, GPU, driver and library versions. A stream goes on
with the next engine from the state before the step that failed, so nothing of it is lost.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines import machine
from engines.backends import BACKENDS, find_backend
from engines.building.build import engine_stem, open_engine, target
from engines.card import EngineCard, card_path, read_card
from engines.errors import EngineMismatch, OutputError, StreamError, VoxcamError
from engines.golden import Golden, golden_path, read_golden, verify
from engines.session import Arrays, BoundState, Session
from engines.state import State
from engines.whole_file import write_atomically

MEASURE_S = 1.0  # a candidate
VERIFY_STEPS = 100  # of the golden stream, before an engine is trusted with a live one
Notify = Callable[[str], None]
log = logging.getLogger("voxcam.engines")


@dataclass(frozen=True, slots=True)
class Candidate:
    backend: str
    device: str
    precision: str
    ms: float = 0.0  # median time of a step

    def __str__(self) -> str:
        return f"{self.backend} {self.precision} on {self.device}"

    def open(self, card: Path, threads: int, engines_dir: Path | None) -> Session:
        """This engine of a model, its card's path given; EngineMismatch where it can't be opened."""
        return open_engine(card, self.backend, self.device, self.precision, threads, engines_dir)


LAST_RESORT = Candidate("onnxruntime", "cpu", "fp32")


def candidates(card: EngineCard, device: str | None = None, engines_dir: Path | None = None) -> list[Candidate]:
    """Engines of a model that can be opened here without building; the last resort is always among them."""
    folder = engines_dir or machine.default_engines_dir()
    found = []
    for backend in BACKENDS:
        try:
            module = find_backend(backend)
            for where in module.devices():
                for precision in module.precisions(where):
                    record = target(card, backend, precision, where)
                    built = (folder / f"{engine_stem(card, record)}.card.json").exists()
                    if (built or precision in module.COMPILES) and device in (None, where):
                        found.append(Candidate(backend, where, precision))
        except (VoxcamError, ImportError):
            continue  # not installed, or its device does not answer: not among what this machine can run
    return found if LAST_RESORT in found else [*found, LAST_RESORT]


def rank(
    card: str | Path,
    device: str | None = None,
    threads: int = 1,
    engines_dir: Path | None = None,
    notify: Notify = log.info,
    measure_s: float = MEASURE_S,
) -> list[Candidate]:
    """Candidates that pass verification, fastest first; remembered, so that only the first call takes time."""
    path = card_path(card)
    found = read_card(path)
    options = candidates(found, device, engines_dir)
    memory = (engines_dir or machine.default_engines_dir()) / "auto.json"
    key = _memory_key(found, options, threads)
    remembered = _read_memory(memory)
    if key in remembered:
        return remembered[key]
    if len(options) > 1:
        notify(f"measuring {len(options)} engines for {found.name}, once on this machine")
    golden = read_golden(golden_path(found, path.parent), found)
    order = []
    for option in options:
        try:
            with option.open(path, threads, engines_dir) as session:
                comparison = verify(session, golden, VERIFY_STEPS)
                if not comparison.passed:
                    notify(f"{found.name}: {option} is left out: {comparison.refusal()}")
                    continue
                ms = measure(session, golden, measure_s) if len(options) > 1 else 0.0
                order.append(Candidate(option.backend, option.device, option.precision, round(ms, 4)))
        except VoxcamError as error:
            notify(f"{found.name}: {option} is left out: {error}")
    if not order:
        raise EngineMismatch(f"no engine of {found.name} gives the right numbers here", "install voxcam again")
    order.sort(key=lambda option: option.ms)
    _write_memory(memory, {**remembered, key: order})
    return order


def measure(session: Session, golden: Golden, seconds: float) -> float:
    """Median time of a step in ms, over `seconds` of the golden inputs again and again."""
    state = session.init_state() if session.state_tensors else None
    times: list[int] = []
    end = time.perf_counter() + seconds
    for step in _cycle(golden.steps):
        inputs = {name: array[step] for name, array in golden.inputs.items()}
        began = time.perf_counter_ns()
        if state is None:
            session.run(inputs)
        else:
            _, state = session.step(inputs, state)
        times.append(time.perf_counter_ns() - began)
        if len(times) >= 5 and time.perf_counter() > end:
            break
    return float(np.median(times[len(times) // 10 :])) / 1e6


def _cycle(steps: int) -> Iterator[int]:
    while True:
        yield from range(steps)


class AutoSession(Session):
    """The fastest engine; the next one when it raises or gives numbers that are none. Says so once."""

    def __init__(self, card: str | Path, order: list[Candidate], open_one: Callable[[Candidate], Session]) -> None:
        self.card = read_card(card)
        self._waiting, self._open_one = list(order), open_one
        self.on_fallback: Notify = log.warning
        self.failed: list[Candidate] = []
        self.inner = self._open_next("")
        super().__init__(self.card, *self._where())
        self.inputs, self.outputs = self.inner.inputs, self.inner.outputs

    def step(self, inputs: Arrays, state: State) -> tuple[dict[str, np.ndarray], State]:
        while True:
            try:
                outputs, after = self.inner.step(inputs, state)
            except VoxcamError as error:
                if isinstance(state, BoundState) and state.spent:
                    raise  # the caller's mistake: no engine would do better
                reason = error.what
            else:
                if self._finite(outputs):
                    return outputs, after
                reason = "it gave numbers that are none"
            state = self._fall_back(reason, inputs, state)

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        while True:
            try:
                outputs = self.inner.run(inputs)
            except VoxcamError as error:
                reason = error.what
            else:
                if self._finite(outputs):
                    return outputs
                reason = "it gave numbers that are none"
            self._fall_back(reason, inputs, None)

    def hold(self, **inputs: np.ndarray) -> None:
        self.inner.hold(**inputs)
        self.held = self.inner.held

    def adopt(self, state: State) -> BoundState:
        return self.inner.adopt(state)

    def close(self) -> None:
        self.inner.close()

    def _finite(self, outputs: Arrays) -> bool:
        return all(_is_finite(array) for array in outputs.values())

    def _fall_back(self, reason: str, inputs: Arrays, state: State | None) -> Any:
        """Open the next engine on the same buffers; the state to go on from."""
        held = [self.inner.inputs[name] for name in self.inner.held]
        if not all(_is_finite(array) for array in (*inputs.values(), *held)):
            raise StreamError(
                f"{self.card.name} was given numbers that are none", "check the microphone and the portrait"
            )
        kept = None
        if state is not None:
            kept = self._readable(state)
        old, self.inner = self.inner, self._open_next(reason)
        self.inner.share_buffers(old)
        old.close()
        self.backend, self.device, self.precision, self.threads = self._where()
        return None if kept is None else self.inner.adopt(kept)

    def _readable(self, state: State) -> State:
        """The state before the failed step; zeros where it cannot be read from a lost device or is no number."""
        try:
            kept = state.copy()
        except VoxcamError:
            kept = None
        if kept is None or not all(_is_finite(array) for array in kept.arrays.values()):
            return State({name: tensor.empty() for name, tensor in self.state_tensors.items()})
        return kept

    def _open_next(self, reason: str) -> Session:
        failed = self._waiting.pop(0) if reason else None
        if failed is not None:
            self.failed.append(failed)
        while self._waiting:
            try:
                session = self._open_one(self._waiting[0])
            except VoxcamError as error:
                failed, reason = self._waiting.pop(0), error.what
                self.failed.append(failed)
                continue
            if failed is not None:
                after = "it, opened anew" if failed == self._waiting[0] else self._waiting[0]
                self.on_fallback(f"{self.card.name}: {failed} failed ({reason}); going on with {after}")
            return session
        raise StreamError(f"no engine of {self.card.name} works any more ({reason})", "voxcam engines verify")

    def _where(self) -> tuple[str, str, str, int]:
        inner = self.inner
        return inner.backend, inner.device, inner.precision, inner.threads

    def _rebuffer(self) -> None:
        self.inner.share_buffers(self)

    def _bind(self, state: State) -> BoundState:
        return self.inner.adopt(state)

    def _execute(self, handle: Any) -> None:
        raise NotImplementedError  # step and run go to the inner session

    def _release(self) -> None:
        self.inner.close()


def open_auto(
    card: str | Path,
    device: str | None = None,
    threads: int = 1,
    engines_dir: Path | None = None,
    notify: Notify = log.info,
    measure_s: float = MEASURE_S,
) -> AutoSession:
    """Open the fastest verified engine of this machine; measures at the first use."""
    path = card_path(card)
    order = rank(path, device, threads, engines_dir, notify, measure_s)
    if all((o.backend, o.device, o.precision) != ("onnxruntime", "cpu", "fp32") for o in order):
        order = [*order, LAST_RESORT]
    return AutoSession(path, order, lambda option: option.open(path, threads, engines_dir))


def _is_finite(array: np.ndarray) -> bool:
    flat = array.reshape(-1)
    return bool(np.isfinite(np.dot(flat, flat))) or bool(np.isfinite(flat).all())  # the product may overflow


def _memory_key(card: EngineCard, options: list[Candidate], threads: int) -> str:
    versions = {option.backend: find_backend(option.backend).version() for option in options}
    names = " ".join(str(option) for option in options)
    return f"{card.name} {card.sha256[:16]} {machine.fingerprint(versions | {'engines': names})} {threads} threads"


def _read_memory(path: Path) -> dict[str, list[Candidate]]:
    """What was measured; empty where the file is missing or is none of ours: then it is measured again."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): [Candidate(**option) for option in order] for key, order in raw.items() if order}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_memory(path: Path, memory: dict[str, list[Candidate]]) -> None:
    raw = {key: [asdict(option) for option in order] for key, order in memory.items()}
    try:
        write_atomically(path, (json.dumps(raw, indent=1) + "\n").encode())
    except OutputError as error:
        log.info("%s", error)  # a full disk costs a second at the next start, no more
