"""EngineCard: what lies beside every model and engine file, and is checked before the file is loaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import EngineMismatch, WrongEngine
from engines.onnx_file import refuse_foreign_onnx
from engines.spec import SPEC, StreamSpec
from engines.whole_file import read_npz, write_atomically

WEIGHTS = Path(__file__).parent / "weights"
STATE_PREFIX, NEXT_SUFFIX = "state.", ".next"
_REBUILD = "voxcam build-engine"
_DTYPES = ("float32", "float16", "int64", "int32", "uint8", "int8", "bool")
_LARGEST_CARD = 1 << 20  # bytes; a card is a few kB
_LARGEST_TENSOR = 1 << 28  # elements; a card may not make us allocate the machine's memory


@dataclass(frozen=True, slots=True)
class TensorSpec:
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def empty(self) -> np.ndarray:
        return np.zeros(self.shape, self.dtype)


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """How and for what an engine was built from the model. Absent on the cards that training writes."""

    model_sha256: str
    backend: str
    backend_version: str
    precision: str
    device: str
    device_name: str = ""
    driver: str = ""
    compute_capability: tuple[str, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)
    build_s: float = 0.0
    size_bytes: int = 0
    verified: bool = False
    error: Mapping[str, float] = field(default_factory=dict)  # by tensor, as golden.compare measures it
    note: str = ""


@dataclass(frozen=True, slots=True)
class EngineCard:
    """One model or engine file: what it computes, what it was made from, and its hash.

    `inputs` and `outputs` map tensor names to TensorSpec; `state.NAME` goes in and `state.NAME.next` comes out.
    `file` is the file's name beside the card, with no folder in it.
    """

    name: str
    sha256: str
    spec: StreamSpec
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    opset: int
    commit: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data_licences: Mapping[str, str] | tuple[str, ...] = ()
    created: str = ""
    file: str = ""
    golden_sha256: str = ""
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # precision -> tensor -> relative error
    build: BuildRecord | None = None

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(name for name in self.inputs if name.startswith(STATE_PREFIX))

    def to_json(self) -> str:
        raw = {item.name: getattr(self, item.name) for item in fields(self)}
        raw["spec"] = json.loads(self.spec.to_json())
        for side in ("inputs", "outputs"):
            raw[side] = {name: asdict(tensor) for name, tensor in raw[side].items()}
        raw["build"] = asdict(self.build) if self.build else None
        return json.dumps(raw, indent=1, sort_keys=True, default=list) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EngineCard:
        """Read a card; EngineMismatch, never another exception, whatever the text is."""
        try:
            raw = json.loads(text)
            if not isinstance(raw, dict):
                raise ValueError("not an object")
            known = {item.name for item in fields(cls)}
            if unknown := set(raw) - known:
                raise ValueError(f"unknown keys {sorted(unknown)}")
            raw["spec"] = StreamSpec.from_json(json.dumps(raw["spec"]))
            raw["inputs"], raw["outputs"] = _read_tensors(raw["inputs"]), _read_tensors(raw["outputs"])
            raw["build"] = _read_build(raw["build"]) if raw.get("build") else None
            card = cls(**raw)
            card._refuse_nonsense()
            return card
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
            raise EngineMismatch(f"unreadable engine card ({type(error).__name__}: {error})", _REBUILD) from error

    def _refuse_nonsense(self) -> None:
        texts = (self.name, self.sha256, self.commit, self.created, self.file, self.golden_sha256)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.opset, int):
            raise ValueError("a value of the wrong type")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 is none")
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name.startswith("."):
            raise ValueError("name is none")
        if self.file and Path(self.file).name != self.file:
            raise ValueError("file lies in another folder")
        for name in self.state_names:
            following = self.outputs.get(name + NEXT_SUFFIX)
            if following != self.inputs[name]:
                raise ValueError(f"{name} does not come out as it went in")
        if not isinstance(self.metrics, dict) or not isinstance(self.tolerances, dict):
            raise ValueError("metrics and tolerances are objects")
        for by_tensor in self.tolerances.values():
            if not all(isinstance(value, float | int) for value in by_tensor.values()):
                raise ValueError("a tolerance is no number")

    def write(self, path: Path) -> None:
        write_atomically(path, self.to_json().encode())


def _read_tensors(raw: Mapping[str, Any]) -> dict[str, TensorSpec]:
    tensors = {}
    for name, entry in raw.items():
        shape, dtype = (entry["shape"], entry["dtype"]) if isinstance(entry, dict) else (entry, "float32")
        if not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"{name} has no fixed shape")
        if dtype not in _DTYPES:
            raise ValueError(f"{name} has dtype {dtype!r}")
        if int(np.prod(shape, dtype=object)) > _LARGEST_TENSOR:
            raise ValueError(f"{name} is too large")
        tensors[name] = TensorSpec(tuple(shape), dtype)
    if not tensors:
        raise ValueError("no tensors")
    return tensors


def _read_build(raw: Mapping[str, Any]) -> BuildRecord:
    record = BuildRecord(**{**raw, "compute_capability": tuple(raw.get("compute_capability", ()))})
    texts = (record.model_sha256, record.backend, record.backend_version, record.precision, record.device)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a build value of the wrong type")
    return record


def file_sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def card_path(card: str | Path) -> Path:
    """Path of a card: a shipped model's name ("encoder"), a card's path, or the path of the file beside it."""
    path = Path(card)
    if path.name.endswith(".card.json"):
        return path
    if path.suffix in (".onnx", ".engine"):
        return path.with_name(path.stem + ".card.json")
    if len(path.parts) == 1 and re.fullmatch(r"[\w-]+", path.name):
        return WEIGHTS / f"{path.name}.card.json"
    raise WrongEngine(f"{card} is neither a shipped model's name nor an .onnx or .card.json file", _REBUILD)


def read_card(card: str | Path) -> EngineCard:
    """Read and check a card: it is there, well formed, and of this StreamSpec."""
    path = card_path(card)
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise EngineMismatch(f"{path.name} is too large to be an engine card", _REBUILD)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        missing = EngineMismatch if path.parent == WEIGHTS else WrongEngine
        raise missing(f"no engine card at {path}", f"only models with a card are loaded; {_REBUILD}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EngineMismatch(f"cannot read {path} ({error})", _REBUILD) from error
    found = EngineCard.from_json(text)
    if found.spec != SPEC:
        ours, theirs = asdict(SPEC), asdict(found.spec)
        differing = ", ".join(f"{key} {theirs[key]} (here {ours[key]})" for key in ours if theirs[key] != ours[key])
        raise EngineMismatch(f"{found.name} was made for another stream: {differing}", "use the model of this version")
    return found


def read_checked(card: str | Path) -> tuple[EngineCard, bytes]:
    """The card and its file's bytes, with nothing loaded yet.

    EngineMismatch where the file is missing, cut short, flipped, swapped for another, or (ONNX) foreign. Load from the
    bytes returned, not from the path: they are what was checked.
    """
    path = card_path(card)
    found = read_card(path)
    model = path.with_name(found.file or path.name.removesuffix(".card.json") + ".onnx")
    try:
        content = model.read_bytes()
    except OSError as error:
        raise EngineMismatch(f"cannot read {model} ({error.strerror})", _REBUILD) from error
    if file_sha256(content) != found.sha256:
        raise EngineMismatch(
            f"{model.name} is not the file its card describes ({len(content):,} bytes): cut short, damaged or swapped",
            _rebuild_command(found),
        )
    if model.suffix == ".onnx":
        refuse_foreign_onnx(content, model.name)
    return found, content


def read_arrays(name: str, *keys: str) -> dict[str, np.ndarray]:
    """Arrays of a shipped NAME.npz, checked against its card; EngineMismatch where it is missing or damaged."""
    _, content = read_checked(name)
    try:
        stored = read_npz(content)
        return {key: stored[key] for key in keys}
    except (ValueError, KeyError) as error:
        raise EngineMismatch(f"weights/{name}.npz is damaged ({error})", "install voxcam again") from error


def _rebuild_command(card: EngineCard) -> str:
    if card.build is None:
        return "install voxcam again, or export the model again: voxcam train export"
    return f"{_REBUILD} --model {card.name} --backend {card.build.backend} --precision {card.build.precision}"
