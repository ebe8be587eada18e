"""What an ONNX file asks for, read from its bytes before any library loads it.

A reader of the protobuf wire format (https://protobuf.dev/programming-guides/encoding) for the few fields that decide
whether a file may be loaded: operators and their domains, where the weights lie, inputs, outputs. It needs no `onnx`.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engines.errors import EngineMismatch

STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION = 7, 8, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_DEEPEST_GRAPH = 8  # subgraphs in subgraphs; ours have none


@dataclass(slots=True)
class OnnxSummary:
    """Operators by name, the domains they come from, and the files that weights are kept in."""

    operators: dict[str, int] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)
    external: set[str] = field(default_factory=set)
    opset: int = 0


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Walk one message: (field number, wire type, bytes or integer). ValueError where it is cut short or no message."""
    at, end = 0, len(data)

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= end or shift > 63:
                raise ValueError("a number is cut short")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < end:
        key = varint()
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if wire == 0:
            yield number, wire, varint()
            continue
        length = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            length = varint()
        if length is None:
            raise ValueError(f"wire type {wire}")
        if at + length > end:
            raise ValueError("a field is cut short")
        yield number, wire, data[at : at + length]
        at += length


def _text(value: memoryview | int) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _read_tensor(data: memoryview, found: OnnxSummary) -> None:
    outside, location = False, ""
    for number, _, value in _fields(data):
        if number == _TENSOR_LOCATION:
            outside = value == 1
        elif number == _TENSOR_EXTERNAL and isinstance(value, memoryview):
            entry = {key: _text(text) for key, _, text in _fields(value)}
            if entry.get(1) == "location":
                location = entry.get(2, "")
    if outside or location:
        found.external.add(location or "(unnamed)")


def _read_attribute(data: memoryview, found: OnnxSummary, depth: int) -> None:
    for number, wire, value in _fields(data):
        if wire != 2 or not isinstance(value, memoryview):
            continue
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            _read_tensor(value, found)
        elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            _read_graph(value, found, depth + 1)


def _read_node(data: memoryview, found: OnnxSummary, depth: int) -> None:
    operator = domain = ""
    for number, wire, value in _fields(data):
        if number == _NODE_OP:
            operator = _text(value)
        elif number == _NODE_DOMAIN:
            domain = _text(value)
        elif number == _NODE_ATTRIBUTE and wire == 2 and isinstance(value, memoryview):
            _read_attribute(value, found, depth)
    found.operators[operator] = found.operators.get(operator, 0) + 1
    if domain not in STANDARD_DOMAINS:
        found.custom.add(f"{domain}.{operator}")


def _read_graph(data: memoryview, found: OnnxSummary, depth: int) -> None:
    if depth > _DEEPEST_GRAPH:
        raise ValueError("graphs nested too deep")
    for number, wire, value in _fields(data):
        if wire != 2 or not isinstance(value, memoryview):
            continue
        if number == _GRAPH_NODE:
            _read_node(value, found, depth)
        elif number == _GRAPH_INITIALIZER:
            _read_tensor(value, found)
        elif number == _GRAPH_SPARSE:
            for part, _, tensor in _fields(value):
                if part in (1, 2) and isinstance(tensor, memoryview):
                    _read_tensor(tensor, found)


def summarise_onnx(content: bytes) -> OnnxSummary:
    """What the file asks for. EngineMismatch if it is no ONNX model or is cut short."""
    found = OnnxSummary()
    try:
        for number, wire, value in _fields(memoryview(content)):
            if wire != 2 or not isinstance(value, memoryview):
                continue
            if number == _MODEL_GRAPH:
                _read_graph(value, found, 0)
            elif number == _MODEL_FUNCTION:
                found.custom.add("(a function defined in the file)")
            elif number == _MODEL_OPSET:
                entry = {key: item for key, _, item in _fields(value)}
                if _text(entry.get(1, 0)) in ("", "ai.onnx") and isinstance(entry.get(2), int):
                    found.opset = entry[2]  # type: ignore[assignment]
    except ValueError as error:
        raise EngineMismatch(f"no readable ONNX model ({error})", "export or download it again") from error
    if not found.operators:
        raise EngineMismatch("an ONNX file without a graph", "export or download it again")
    return found


def refuse_foreign_onnx(content: bytes, name: str) -> OnnxSummary:
    """EngineMismatch where a file wants operators that are not ONNX's own or weights that its hash does not cover."""
    found = summarise_onnx(content)
    if found.external:
        raise EngineMismatch(
            f"{name} keeps weights in other files ({', '.join(sorted(found.external))}), which its hash does not cover",
            "export it with all weights inside: voxcam train export",
        )
    if found.custom:
        raise EngineMismatch(
            f"{name} needs operators that are not ONNX's own: {', '.join(sorted(found.custom))}",
            "export it with standard operators: voxcam train export",
        )
    return found
