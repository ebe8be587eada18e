"""Precision written into the ONNX itself: fp16 and bf16 by types, int8 by quantise-dequantise pairs.

Strongly typed engines (TensorRT 10 and later) take precision from the graph's own types and nowhere else. Inputs,
outputs and state stay float32 in every precision, so that sessions, golden streams and callers never care. Needs the
package `onnx`, for building only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engines.backends.built import Built
from engines.card import NEXT_SUFFIX, STATE_PREFIX, EngineCard
from engines.errors import ConfigError, EngineMismatch

try:
    import onnx
    import onnx.version_converter
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    onnx = None  # type: ignore[assignment]

# A logarithm's argument spans ten decades and a sampling grid is a position to a hundredth of a pixel: neither fits
# eleven or eight bits, and neither costs anything to keep.
_KEEP_FLOAT = {"Log", "Exp", "Pow", "GridSample", "LayerNormalization", "ConstantOfShape", "Range", "STFT", "DFT"}
_FLOAT_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
_QUANTISED = {"Conv", "MatMul", "Gemm", "ConvTranspose"}
_LAYERS = _QUANTISED | {"GRU", "LSTM", "LayerNormalization"}
CLIPPED_SHARE = 1e-4  # of a tensor's values may lie outside its int8 range: outliers would coarsen all the others


def convert_precision(
    content: bytes,
    card: EngineCard,
    precision: str,
    calibration: Mapping[str, np.ndarray] | None = None,
    beside_int8: str = "fp32",
    float_products: bool = True,
    quantise_results: bool = False,
) -> Built:
    """A model's bytes in another precision. int8 needs calibration inputs, (steps, *shape) by name.

    `beside_int8` types what an int8 engine does not quantise. Without `float_products` the matrix products that stay in
    float32 are written as sums of products, for targets that multiply no float32 matrices. With `quantise_results` what
    an int8 layer gives is quantised too: ONNX Runtime has int8 kernels for such layers only.
    """
    if precision == "fp32":
        return Built(content, {"types": "float32"})
    if onnx is None:
        raise EngineMismatch(f"a {precision} engine is made with the package onnx", "pip install onnx")
    model = onnx.load_model_from_string(content)
    if any(attribute.type == onnx.AttributeProto.GRAPH for node in model.graph.node for attribute in node.attribute):
        what = f"{card.name} has graphs inside its graph, which cannot be retyped"
        raise EngineMismatch(what, "use --precision fp32")
    if not float_products:
        _spell_out_products(model)
    if precision in ("fp16", "bf16"):
        kept = _retype(model, TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16)
        return Built(model.SerializeToString(), {"types": precision, "kept_float32": sorted(kept)})
    if precision == "int8":
        if not calibration:
            raise ConfigError("an int8 engine needs calibration inputs", "ship NAME.calibration.npz or a golden stream")
        if beside_int8 == "fp16" and _opset(model) < 19:  # float16 scales came with opset 19
            model = onnx.version_converter.convert_version(model, 19)
        layers = _quantise(model, card, calibration, quantise_results)
        note = f"{len(layers)} layers in int8, {len(next(iter(calibration.values())))} calibration steps"
        if beside_int8 == "fp16":
            _retype(model, TensorProto.FLOAT16)
        return Built(model.SerializeToString(), {"types": "int8 QDQ, symmetric", "layers": layers}, note)
    raise ConfigError(f"no precision {precision!r}", "choose fp32, bf16, fp16 or int8")


def _spell_out_products(model: Any) -> None:
    """x . W -> ReduceSum(x[..., None] * W, -2) for the products of the float32 front end with constant weights."""
    graph = model.graph
    _constants_to_initialisers(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kept = _nodes_in_float32(graph)
    for name, value in (("products/last", [-1]), ("products/reduced", [-2])):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    nodes = []
    for index, node in enumerate(graph.node):
        if node.op_type != "MatMul" or index not in kept or node.input[1] not in weights:
            nodes.append(node)
            continue
        wide, product = f"{node.output[0]}/wide", f"{node.output[0]}/products"
        nodes.append(helper.make_node("Unsqueeze", [node.input[0], "products/last"], [wide]))
        nodes.append(helper.make_node("Mul", [wide, node.input[1]], [product]))
        nodes.append(helper.make_node("ReduceSum", [product, "products/reduced"], [node.output[0]], keepdims=0))
    rebuilt = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(rebuilt)


def _retype(model: Any, to: int) -> set[str]:
    """Compute in another float type inside the graph, in place; the kinds of operator that stayed in float32."""
    graph = model.graph
    _constants_to_initialisers(graph)
    types = _float_tensors(model)
    kept = _nodes_in_float32(graph)
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    typed: dict[str, str] = {}  # float32 tensor -> its twin in the new type
    floats: dict[str, str] = {}  # name of a tensor that now exists in the new type only -> its float32 cast
    nodes: list[Any] = []

    def in_new_type(name: str) -> str:
        if name in typed:
            return typed[name]
        twin = f"{name}/{'fp16' if to == TensorProto.FLOAT16 else 'bf16'}"
        if name in initialisers:
            graph.initializer.append(_typed_tensor(initialisers[name], twin, to))
        else:
            nodes.append(helper.make_node("Cast", [name], [twin], name=f"cast {twin}", to=to))
        typed[name] = twin
        return twin

    def in_float32(name: str) -> str:
        if name in floats and not floats[name]:
            floats[name] = f"{name}/fp32"
            nodes.append(helper.make_node("Cast", [typed[name]], [floats[name]], to=TensorProto.FLOAT))
        return floats.get(name, name)

    for index, node in enumerate(list(graph.node)):
        fixed = _FLOAT_INPUTS.get(node.op_type, ())
        if index in kept:
            node.input[:] = [in_float32(name) for name in node.input]
            nodes.append(node)
            continue
        node.input[:] = [
            in_new_type(name) if name in types and position not in fixed else in_float32(name)
            for position, name in enumerate(node.input)
        ]
        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                    attribute.i = to
        nodes.append(node)
        for position, name in enumerate(node.output):
            if name in types:
                node.output[position] = typed[name] = f"{name}/typed"
                floats[name] = ""
    for name in sorted(outputs):
        if floats.get(name) == "":
            nodes.append(helper.make_node("Cast", [typed[name]], [name], name=f"cast {name}", to=TensorProto.FLOAT))
        elif name in floats:
            nodes.append(helper.make_node("Identity", [floats[name]], [name]))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input} | outputs
    unused = [tensor for tensor in graph.initializer if tensor.name not in used]
    for tensor in unused:
        graph.initializer.remove(tensor)
    return {graph_node.op_type for i, graph_node in enumerate(nodes) if graph_node.op_type in _KEEP_FLOAT}


def _opset(model: Any) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _float_tensors(model: Any) -> set[str]:
    """Names of all float32 tensors, by shape inference; EngineMismatch where it cannot tell."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.input, *inferred.output)}
    known |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    unknown = [name for node in model.graph.node for name in node.output if name and name not in known]
    if unknown:
        raise EngineMismatch(f"the type of {unknown[0]} cannot be told", "use --precision fp32")
    return {name for name, kind in known.items() if kind == TensorProto.FLOAT}


def _nodes_in_float32(graph: Any) -> set[int]:
    """Operators that stay in float32: everything that leads to a logarithm (the log-mel front end), and variances."""
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output}
    kept = {index for index, node in enumerate(graph.node) if node.op_type in _KEEP_FLOAT}
    waiting = [index for index in kept if graph.node[index].op_type in ("Log", "STFT", "DFT")]
    while waiting:
        for name in graph.node[waiting.pop()].input:
            if name in maker and maker[name] not in kept:
                kept.add(maker[name])
                waiting.append(maker[name])
    return kept | _variances(graph)[0]


def _variances(graph: Any) -> tuple[set[int], set[int]]:
    """What leads to a root or a quotient, and the layers that this begins at.

    Variances are small differences of large running means: rounding of the means is seen many times as large.
    """
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output}
    kept: set[int] = set()
    layers: set[int] = set()
    waiting = [index for index, node in enumerate(graph.node) if node.op_type in ("Sqrt", "Div")]
    while waiting:
        index = waiting.pop()
        kept.add(index)
        for name in graph.node[index].input:
            before = maker.get(name)
            if before is None or before in kept:
                continue
            if graph.node[before].op_type in _LAYERS:
                layers.add(before)
            else:
                waiting.append(before)
    return kept, layers


def _constants_to_initialisers(graph: Any) -> None:
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        value = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if value is not None:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            graph.node.remove(node)


def _typed_tensor(tensor: Any, name: str, to: int) -> Any:
    values = numpy_helper.to_array(tensor)
    if to == TensorProto.FLOAT16:
        limit = np.finfo(np.float16).max
        return numpy_helper.from_array(np.clip(values, -limit, limit).astype(np.float16), name)
    return helper.make_tensor(name, to, values.shape, bfloat16_bits(values).tobytes(), raw=True)


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """The upper 16 bits of float32, rounded to nearest even; uint16 of the same shape."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def _quantise(model: Any, card: EngineCard, calibration: Mapping[str, np.ndarray], quantise_results: bool) -> list[str]:
    """Put symmetric quantise-dequantise pairs around convolutions and products with constant weights, in place.

    Weights by output channel, activations by tensor, biases left in float32 (TensorRT refuses quantised ones). The
    front end up to a logarithm stays float32, and so do layers that make an output or a variance: their error would be
    seen whole, or larger.
    """
    graph = model.graph
    _constants_to_initialisers(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kept = _nodes_in_float32(graph) | _variances(graph)[1]
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}

    def leads_out(name: str) -> bool:
        """True if the tensor becomes an output with no other layer behind it."""
        if name in outputs:
            return not name.endswith(NEXT_SUFFIX)
        follow = readers.get(name, [])
        return bool(follow) and all(n.op_type not in _QUANTISED and leads_out(n.output[0]) for n in follow)

    chosen = [
        node
        for index, node in enumerate(graph.node)
        if node.op_type in _QUANTISED
        and index not in kept
        and node.input[1] in weights
        and node.input[0] not in weights
        and len(weights[node.input[1]].dims) >= 2
        and not leads_out(node.output[0])
    ]
    if not chosen:
        raise EngineMismatch(f"{card.name} has no layer that int8 would help", "use --precision bf16 or fp32")
    measured = {node.input[0] for node in chosen} | ({node.output[0] for node in chosen} if quantise_results else set())
    ranges = measure_ranges(model, card, sorted(measured), calibration)
    pairs: dict[str, str] = {}
    before: dict[int, list[Any]] = {}

    def quantised(name: str, scale: np.ndarray, axis: int | None, at: Any) -> str:
        if name not in pairs:
            graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}/scale"))
            graph.initializer.append(numpy_helper.from_array(np.zeros(scale.shape, np.int8), f"{name}/zero"))
            extra: dict[str, Any] = {} if axis is None else {"axis": axis}
            parts = [f"{name}/scale", f"{name}/zero"]
            if name in weights:
                shape = [1] * len(weights[name].dims)
                shape[axis or 0] = -1
                values = numpy_helper.to_array(weights[name]) / scale.reshape(shape)
                stored = np.clip(np.rint(values), -127, 127).astype(np.int8)
                graph.initializer.append(numpy_helper.from_array(stored, f"{name}/int8"))
                new = [helper.make_node("DequantizeLinear", [f"{name}/int8", *parts], [f"{name}/qdq"], **extra)]
            else:
                new = [
                    helper.make_node("QuantizeLinear", [name, *parts], [f"{name}/q"], **extra),
                    helper.make_node("DequantizeLinear", [f"{name}/q", *parts], [f"{name}/qdq"], **extra),
                ]
            before.setdefault(id(at), []).extend(new)
            pairs[name] = f"{name}/qdq"
        return pairs[name]

    for node in chosen:
        kernel = numpy_helper.to_array(weights[node.input[1]])
        axis = _output_axis(node)
        others = tuple(i for i in range(kernel.ndim) if i != axis)
        by_channel = np.maximum(np.abs(kernel).max(others), 1e-8) / 127
        activation = np.array(max(ranges[node.input[0]], 1e-6) / 127, np.float32)
        node.input[0] = quantised(node.input[0], activation, None, node)
        node.input[1] = quantised(node.input[1], by_channel, axis, node)
    after: dict[int, list[Any]] = {}
    for node in chosen if quantise_results else ():
        result = node.output[0]
        node.output[0] = f"{result}/raw"
        scale = np.array(max(ranges[result], 1e-6) / 127, np.float32)
        graph.initializer.append(numpy_helper.from_array(scale, f"{result}/result scale"))
        graph.initializer.append(numpy_helper.from_array(np.zeros((), np.int8), f"{result}/result zero"))
        parts = [f"{result}/result scale", f"{result}/result zero"]
        after[id(node)] = [
            helper.make_node("QuantizeLinear", [f"{result}/raw", *parts], [f"{result}/raw q"]),
            helper.make_node("DequantizeLinear", [f"{result}/raw q", *parts], [result]),
        ]
    nodes = []
    for node in graph.node:
        nodes += [*before.get(id(node), []), node, *after.get(id(node), [])]
    rebuilt = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(rebuilt)
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    return [node.name or node.output[0].removesuffix("/raw") for node in chosen]


def _output_axis(node: Any) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute):
        return 0
    return 1  # ConvTranspose (in, out, ...), Gemm and MatMul (in, out)


def measure_ranges(
    model: Any, card: EngineCard, names: list[str], calibration: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Largest magnitude of each tensor over the calibration stream, without the outermost CLIPPED_SHARE."""
    from engines.backends.quiet_onnxruntime import ort

    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    there = {value.name for value in (*probed.graph.output, *probed.graph.input)}
    probed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in there
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [output.name for output in session.get_outputs()]
    state = {name: tensor.empty() for name, tensor in card.inputs.items() if name.startswith(STATE_PREFIX)}
    ranges = dict.fromkeys(names, 0.0)
    quantile: Callable[[np.ndarray], float] = lambda a: float(np.quantile(np.abs(a), 1 - CLIPPED_SHARE))  # noqa: E731
    for step in range(len(next(iter(calibration.values())))):
        inputs = {name: array[step] for name, array in calibration.items()} | state
        found = dict(zip(wanted, session.run(wanted, inputs), strict=True))
        state = {name: found[name + NEXT_SUFFIX] for name in state}
        found |= inputs
        for name in names:
            ranges[name] = max(ranges[name], quantile(found[name]))
    return ranges
