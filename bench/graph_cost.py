"""What a graph costs, counted from the ONNX file: multiply-adds, parameter bytes, layers. No timing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.errors import EngineMismatch

try:
    import onnx
    import onnx.shape_inference
    from onnx import numpy_helper
except ImportError:
    onnx = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class GraphCost:
    multiply_adds: int  # of convolutions and matrix products, one call
    parameter_bytes: int
    layers: int

    @property
    def mflop(self) -> float:
        """Two operations a multiply-add, as is usual."""
        return 2 * self.multiply_adds / 1e6


def graph_cost(path: Path) -> GraphCost:
    """Count one call of a model with fixed shapes."""
    if onnx is None:
        raise EngineMismatch("graphs are counted with the package onnx", 'pip install "voxcam[bench]"')
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(path.read_bytes()), data_prop=True)
    graph = model.graph
    shapes = {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        out = shapes.get(node.output[0], ()) if node.output else ()
        total += _multiply_adds(node, shapes, out)
    stored = sum(numpy_helper.to_array(tensor).nbytes for tensor in graph.initializer)
    return GraphCost(total, stored, len(graph.node))


def _multiply_adds(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], out: tuple[int, ...]) -> int:
    def size(shape: tuple[int, ...]) -> int:
        return int(np.prod(shape, dtype=np.int64))

    if node.op_type == "Conv":
        return size(out) * size(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return size(shapes[node.input[0]]) * size(shapes[node.input[1]][1:])
    if node.op_type == "MatMul":
        return size(out) * shapes[node.input[0]][-1]
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return size(out) * shapes[node.input[0]][0 if transposed else -1]
    if node.op_type in ("GRU", "LSTM"):
        steps = shapes[node.input[0]][0]
        return steps * (size(shapes[node.input[1]]) + size(shapes[node.input[2]]))
    return 0
