"""Small ONNX models with the real tensor contracts and random weights, for tests that need an engine, not a face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.card import EngineCard, TensorSpec, file_sha256
from engines.golden import Golden, replay
from engines.opening import open_session
from engines.spec import SPEC

HIDDEN = 64
HEADS = {
    "content": (3, 48),
    "emotion": (1, 16),
    "noise": (1, 16),
    "speaker": (1, 16),
    "motion": (3, 14),
    "phone_logits": (3, 40),
    "presence": (3, 1),
    "emotion_logits": (1, 7),
    "snr_db": (1, 1),
}
OPSET = 17


def _model(nodes, inputs, outputs, weights, name: str) -> onnx.ModelProto:
    def infos(tensors):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in tensors.items()]

    initialisers = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def tiny_encoder(seed: int = 0) -> onnx.ModelProto:
    """Two chunks of sound and a leaky recurrent cell -> every head of encoder.onnx."""
    random = np.random.default_rng(seed)

    def weight(*shape):
        return (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    weights = {
        "w_in": weight(640, HIDDEN) * 4,
        "w_state": weight(HIDDEN, HIDDEN) * 0.7,
        "gain": np.array([1.0], np.float32),
    }
    nodes = [
        helper.make_node("Concat", ["state.history", "samples"], ["window"], axis=1),
        helper.make_node("MatMul", ["window", "w_in"], ["heard"]),
        helper.make_node("MatMul", ["state.cell", "w_state"], ["kept"]),
        helper.make_node("Add", ["heard", "kept"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["state.cell.next"]),
        helper.make_node("Mul", ["samples", "gain"], ["state.history.next"]),
    ]
    for head, (rows, columns) in HEADS.items():
        weights[f"w_{head}"] = weight(HIDDEN, rows * columns)
        weights[f"shape_{head}"] = np.array([rows, columns], np.int64)
        nodes.append(helper.make_node("MatMul", ["state.cell.next", f"w_{head}"], [f"flat_{head}"]))
        last = f"linear_{head}" if head == "presence" else head
        nodes.append(helper.make_node("Reshape", [f"flat_{head}", f"shape_{head}"], [last]))
    nodes.append(helper.make_node("Sigmoid", ["linear_presence"], ["presence"]))
    state = {"state.history": (1, 320), "state.cell": (1, HIDDEN)}
    return _model(
        nodes,
        {"samples": (1, 320), **state},
        {**HEADS, **{f"{name}.next": shape for name, shape in state.items()}},
        weights,
        "encoder",
    )


def tiny_generator(seed: int = 0, channels: int = 16) -> onnx.ModelProto:
    """A code and held portrait features -> a small picture: convolutions, no state."""
    random = np.random.default_rng(seed)

    def weight(*shape):
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    weights = {
        "w_code": weight(25, channels).astype(np.float32),
        "shape": np.array([1, channels, 1, 1], np.int64),
        "w_1": weight(channels, 8, 3, 3),
        "b_1": weight(channels, 1)[:, 0],
        "w_2": weight(3, channels, 3, 3),
        "b_2": weight(3, 1)[:, 0],
    }
    nodes = [
        helper.make_node("MatMul", ["code", "w_code"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["film"]),
        helper.make_node("Conv", ["features", "w_1", "b_1"], ["deep"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["deep", "film"], ["bent"]),
        helper.make_node("Relu", ["bent"], ["active"]),
        helper.make_node("Conv", ["active", "w_2", "b_2"], ["picture"], pads=[1, 1, 1, 1]),
    ]
    inputs = {"code": (1, 25), "features": (1, 8, 32, 32)}
    return _model(nodes, inputs, {"picture": (1, 3, 32, 32)}, weights, "generator")


def golden_inputs(model: onnx.ModelProto, steps: int = 24) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shapes = {i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim) for i in model.graph.input}
    return {
        name: (0.3 * random.standard_normal((steps, *shape))).astype(np.float32)
        for name, shape in shapes.items()
        if not name.startswith("state.")
    }


def write_model(folder: Path, name: str, model: onnx.ModelProto, **card: Any) -> Path:
    """Model, card and golden stream as training writes them; the card's path."""

    def tensors(values):
        return {v.name: TensorSpec(tuple(d.dim_value for d in v.type.tensor_type.shape.dim)) for v in values}

    content = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(content)
    path = folder / f"{name}.card.json"
    made = EngineCard(
        name=name,
        sha256=file_sha256(content),
        spec=card.pop("spec", SPEC),
        inputs=tensors(model.graph.input),
        outputs=tensors(model.graph.output),
        opset=OPSET,
        **card,
    )
    made.write(path)
    if made.spec == SPEC:
        inputs = golden_inputs(model)
        with open_session(path) as session:
            Golden(inputs, replay(session, inputs)).write(folder / f"{name}.golden.npz")
    return path
