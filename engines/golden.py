"""Golden streams: inputs and expected outputs of a short stream, and how far an engine may be from them.

NAME.golden.npz holds `input.TENSOR` and `output.TENSOR`, each (steps, *shape). A graph with state is replayed as one
stream from zeros, so that an error that builds up in the state shows; its state tensors are not in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.card import STATE_PREFIX, WEIGHTS, EngineCard, file_sha256
from engines.errors import EngineMismatch
from engines.session import Session
from engines.whole_file import read_npz, write_npz

# Root mean square of the error over the root mean square of what the tensor varies by, per precision. Half-precision
# rounding is 2^-11 a product and bfloat16's 2^-8; a stream of a few hundred steps through two recurrent cells and a
# dozen layers was measured at 5 to 20 of those (docs/reports/engines). Beyond these an engine is wrong, not imprecise.
TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 1e-1, "int8": 2.5e-1}
_FLOOR = 1e-3  # of a tensor's own size: what hardly varies is judged against its size


@dataclass(frozen=True, slots=True)
class Golden:
    inputs: Mapping[str, np.ndarray]  # (steps, *shape)
    outputs: Mapping[str, np.ndarray]

    @property
    def steps(self) -> int:
        return len(next(iter(self.outputs.values())))

    def write(self, path: Path) -> None:
        """Write atomically, compressed."""
        named = {f"input.{name}": array for name, array in self.inputs.items()}
        named |= {f"output.{name}": array for name, array in self.outputs.items()}
        write_npz(path, named)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a replay is from the golden stream; `error` by tensor, relative to what the tensor varies by."""

    error: Mapping[str, float]
    tolerance: Mapping[str, float]

    @property
    def passed(self) -> bool:
        return all(self.error[name] <= self.tolerance[name] for name in self.error)  # NaN fails

    @property
    def worst(self) -> tuple[str, float]:
        """The tensor that uses most of its tolerance, and its error."""
        return max(self.error.items(), key=lambda item: np.nan_to_num(item[1], nan=np.inf) / self.tolerance[item[0]])

    def refusal(self) -> str:
        name, value = self.worst
        return f"{name} is off by {value:.2g} of what it varies by (at most {self.tolerance[name]:.2g})"


def golden_path(card: EngineCard, folder: Path = WEIGHTS) -> Path:
    return folder / f"{card.name}.golden.npz"


def read_golden(path: Path, card: EngineCard) -> Golden:
    """Read a golden stream and check it against the card's tensors; EngineMismatch where it is none."""
    fix = "install voxcam again, or export the model again: voxcam train export"
    try:
        content = path.read_bytes()
        if card.golden_sha256 and file_sha256(content) != card.golden_sha256:
            raise EngineMismatch(f"{path.name} is not the golden stream that {card.name}'s card names", fix)
        arrays = read_npz(content)
    except (OSError, ValueError) as error:
        raise EngineMismatch(f"no readable golden stream at {path} ({error})", fix) from error
    golden = Golden(
        {n.removeprefix("input."): a for n, a in arrays.items() if n.startswith("input.")},
        {n.removeprefix("output."): a for n, a in arrays.items() if n.startswith("output.")},
    )
    for found, wanted in ((golden.inputs, card.inputs), (golden.outputs, card.outputs)):
        shapes = {n: t.shape for n, t in wanted.items() if not n.startswith(STATE_PREFIX)}
        if {name: array.shape[1:] for name, array in found.items()} != shapes:
            raise EngineMismatch(f"{path.name} is not a golden stream of {card.name}", fix)
    lengths = {len(array) for array in (*golden.inputs.values(), *golden.outputs.values())}
    if len(lengths) != 1 or 0 in lengths:
        raise EngineMismatch(f"{path.name} has tensors of {sorted(lengths)} steps", fix)
    return golden


def replay(session: Session, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a session over inputs (steps, *shape), as one stream from zeros; outputs (steps, *shape)."""
    steps = len(next(iter(inputs.values())))
    outputs = {name: np.empty((steps, *array.shape), array.dtype) for name, array in session.outputs.items()}
    state = session.init_state() if session.state_tensors else None
    for k in range(steps):
        chunk = {name: array[k] for name, array in inputs.items()}
        if state is None:
            found = session.run(chunk)
        else:
            found, state = session.step(chunk, state)
        for name, array in found.items():
            outputs[name][k] = array
    return outputs


def compare(golden: Golden, outputs: Mapping[str, np.ndarray], precision: str, card: EngineCard) -> Comparison:
    """Error of a replay, by tensor. The card may widen or narrow a tolerance for one tensor and precision."""
    own = card.tolerances.get(precision, {})
    error = {}
    for name, expected in golden.outputs.items():
        expected = expected.astype(np.float64)
        difference = outputs[name].astype(np.float64) - expected
        varies = np.sqrt(np.mean((expected - expected.mean(0)) ** 2))
        scale = max(varies, _FLOOR * np.sqrt(np.mean(expected**2)), 1e-6)
        error[name] = float(np.sqrt(np.mean(difference**2)) / scale)
    tolerance = {name: float(own.get(name, TOLERANCES[precision])) for name in error}
    return Comparison(error, tolerance)


def verify(session: Session, golden: Golden, max_steps: int | None = None) -> Comparison:
    """Replay the golden stream on a session and compare."""
    inputs = {name: array[:max_steps] for name, array in golden.inputs.items()}
    expected = Golden(inputs, {name: array[:max_steps] for name, array in golden.outputs.items()})
    return compare(expected, replay(session, inputs), session.precision, session.card)
