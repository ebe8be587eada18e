"""Precision in the graph's own types: what is converted, what is kept, and what it costs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.backends import precision
from engines.backends.precision import bfloat16_bits, convert_precision, measure_ranges
from engines.card import read_card, read_checked
from engines.errors import ConfigError, EngineMismatch
from engines.golden import read_golden
from tests.engines.tiny_models import OPSET, write_model


def _nodes(model, kind):
    return [node for node in model.graph.node if node.op_type == kind]


def _hearing() -> onnx.ModelProto:
    """A log-mel front end before a layer: filters, squares, logarithm; then a warp."""
    random = np.random.default_rng(0)
    weights = {
        "filters": random.standard_normal((320, 40)).astype(np.float32),
        "floor": np.array([1e-6], np.float32),
        "w": random.standard_normal((40, 32)).astype(np.float32),
        "shape": np.array([1, 1, 4, 8], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["samples", "filters"], ["bands"]),
        helper.make_node("Mul", ["bands", "bands"], ["power"]),
        helper.make_node("Add", ["power", "floor"], ["floored"]),
        helper.make_node("Log", ["floored"], ["mel"]),
        helper.make_node("MatMul", ["mel", "w"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["picture"]),
        helper.make_node("GridSample", ["picture", "grid"], ["warped"]),
        helper.make_node("Tanh", ["warped"], ["out"]),
    ]
    tensors = {"samples": (1, 320), "grid": (1, 4, 4, 2)}
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in tensors.items()]
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 1, 4, 4))
    initialisers = [numpy_helper.from_array(a, n) for n, a in weights.items()]
    graph = helper.make_graph(nodes, "hearing", inputs, [output], initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


@pytest.mark.parametrize(("name", "kind"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)])
def test_front_end_and_warp_stay_float32(tmp_path, name, kind):
    write_model(tmp_path, "hearing", _hearing())
    card, content = read_checked(tmp_path / "hearing.card.json")
    model = onnx.load_model_from_string(convert_precision(content, card, name).content)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types["filters"] == types["floor"] == TensorProto.FLOAT
    assert [t for n, t in types.items() if n.startswith("w")] == [kind]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=name == "fp16")
    known = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    sample = _nodes(model, "GridSample")[0]
    assert "fp32" in sample.input[0]
    assert sample.input[1] == "grid"
    assert known[_nodes(model, "MatMul")[1].output[0]] == kind
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT


def test_half_precision_graph_gives_nearly_the_same(tmp_path):
    import onnxruntime as ort

    write_model(tmp_path, "hearing", _hearing())
    card, content = read_checked(tmp_path / "hearing.card.json")
    golden = read_golden(tmp_path / "hearing.golden.npz", card)
    session = ort.InferenceSession(convert_precision(content, card, "fp16").content, providers=["CPUExecutionProvider"])
    found = np.stack([session.run(None, {n: a[k] for n, a in golden.inputs.items()})[0] for k in range(golden.steps)])
    error = np.abs(found - golden.outputs["out"]).max()
    assert 0 < error < 0.02


def test_int8_is_symmetric_and_leaves_biases_alone(models):
    card, content = read_checked(models / "generator.card.json")
    golden = read_golden(models / "generator.golden.npz", card)
    model = onnx.load_model_from_string(convert_precision(content, card, "int8", golden.inputs).content)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pairs = _nodes(model, "DequantizeLinear")
    assert pairs
    for node in (*pairs, *_nodes(model, "QuantizeLinear")):
        assert (arrays[node.input[2]] == 0).all(), "a zero point that is not zero"
        assert arrays[node.input[2]].dtype == np.int8
        assert (arrays[node.input[1]] > 0).all()
    inner, outer = _nodes(model, "Conv")
    assert arrays[inner.input[2]].dtype == np.float32
    assert arrays["w_1/scale"].shape == (16,), "one scale for each output channel"
    assert outer.input[1] == "w_2", "the layer that makes the picture was quantised"
    for name in ("w_1",):
        restored = arrays[f"{name}/int8"] * arrays[f"{name}/scale"].reshape(-1, 1, 1, 1)
        original = {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(content).graph.initializer}
        assert np.abs(restored - original[name]).max() <= arrays[f"{name}/scale"].max() / 2 + 1e-7


def test_front_end_is_not_quantised(tmp_path):
    model = _hearing()
    model.graph.node[-1].op_type = "Identity"
    write_model(tmp_path, "hearing", model)
    card, content = read_checked(tmp_path / "hearing.card.json")
    golden = read_golden(tmp_path / "hearing.golden.npz", card)
    with pytest.raises(EngineMismatch, match="no layer that int8 would help"):
        convert_precision(content, card, "int8", golden.inputs)


def test_ranges_are_those_of_the_stream(models):
    """The state's own range shows only when the stream is run as a stream."""
    card, content = read_checked(models / "encoder.card.json")
    golden = read_golden(models / "encoder.golden.npz", card)
    found = measure_ranges(onnx.load_model_from_string(content), card, ["state.cell", "window"], golden.inputs)
    assert 0.3 < found["state.cell"] <= 1.0
    heard = np.abs(golden.inputs["samples"]).max()
    assert 0.8 * heard < found["window"] <= heard


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1.0, 0x3F80), (-2.0, 0xC000), (1.00390625, 0x3F80), (1.01171875, 0x3F82), (3.0e38, 0x7F62), (0.0, 0)],
)
def test_bfloat16_rounds_to_nearest_even(value, bits):
    assert bfloat16_bits(np.array([value], np.float32))[0] == bits


def test_wrong_use(models, monkeypatch):
    card, content = read_checked(models / "encoder.card.json")
    with pytest.raises(ConfigError, match="needs calibration"):
        convert_precision(content, card, "int8")
    with pytest.raises(ConfigError, match="no precision 'int4'"):
        convert_precision(content, card, "int4")
    assert convert_precision(content, card, "fp32").content == content
    monkeypatch.setattr(precision, "onnx", None)
    with pytest.raises(EngineMismatch, match="pip install onnx"):
        convert_precision(content, read_card(models / "encoder.card.json"), "fp16")


def _run(content: bytes, inputs) -> np.ndarray:
    import onnxruntime as ort

    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    steps = len(next(iter(inputs.values())))
    return np.stack([session.run(None, {n: a[k] for n, a in inputs.items()})[0] for k in range(steps)])


def test_products_spelled_out_are_the_same_products(tmp_path):
    """For GPUs that multiply no float32 matrices (compute capability 7.5 in TensorRT-RTX)."""
    write_model(tmp_path, "hearing", _hearing())
    card, content = read_checked(tmp_path / "hearing.card.json")
    golden = read_golden(tmp_path / "hearing.golden.npz", card)
    built = convert_precision(content, card, "fp16", float_products=False)
    model = onnx.load_model_from_string(built.content)
    (left,) = _nodes(model, "MatMul")
    assert left.input[1] == "w/fp16", "a float32 product is left"
    assert len(_nodes(model, "ReduceSum")) == 1
    with_products = _run(convert_precision(content, card, "fp16").content, golden.inputs)
    np.testing.assert_allclose(_run(built.content, golden.inputs), with_products, atol=2e-3)


def test_results_are_quantised_where_the_runtime_wants_it(models):
    card, content = read_checked(models / "generator.card.json")
    golden = read_golden(models / "generator.golden.npz", card)
    plain = convert_precision(content, card, "int8", golden.inputs).content
    more = convert_precision(content, card, "int8", golden.inputs, quantise_results=True).content
    count = [len(_nodes(onnx.load_model_from_string(c), "QuantizeLinear")) for c in (plain, more)]
    assert count[1] == 2 * count[0]
    for made in (plain, more):
        error = _run(made, golden.inputs) - golden.outputs["picture"]
        assert 1e-5 < np.sqrt((error**2).mean()) < 0.05 * golden.outputs["picture"].std()
