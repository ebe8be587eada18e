"""The yardstick: a plain generator of Wav2Lip's size, as ONNX, with random weights.

K. R. Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild", ACM MM 2020: layer
shapes as published (kernel, stride, channels, skips; batch norms folded into the convolutions, as they are at
inference). What it would draw does not matter: its cost does, in the same run and runtime as ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engines.card import EngineCard, TensorSpec, file_sha256
from engines.errors import EngineMismatch
from engines.machine import default_engines_dir
from engines.spec import SPEC
from engines.whole_file import write_atomically

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    onnx = None  # type: ignore[assignment]

NAME = "yardstick"
OPSET = 17
SKIP, PLAIN = True, False  # whether a layer adds its input to its output
Layer = tuple[int, int, int, tuple[int, int], int, bool]  # channels in, out, kernel, stride, padding, residual

FACE_ENCODER: tuple[tuple[Layer, ...], ...] = (
    ((6, 16, 7, (1, 1), 3, PLAIN),),
    ((16, 32, 3, (2, 2), 1, PLAIN), *[(32, 32, 3, (1, 1), 1, SKIP)] * 2),
    ((32, 64, 3, (2, 2), 1, PLAIN), *[(64, 64, 3, (1, 1), 1, SKIP)] * 3),
    ((64, 128, 3, (2, 2), 1, PLAIN), *[(128, 128, 3, (1, 1), 1, SKIP)] * 2),
    ((128, 256, 3, (2, 2), 1, PLAIN), *[(256, 256, 3, (1, 1), 1, SKIP)] * 2),
    ((256, 512, 3, (2, 2), 1, PLAIN), (512, 512, 3, (1, 1), 1, SKIP)),
    ((512, 512, 3, (1, 1), 0, PLAIN), (512, 512, 1, (1, 1), 0, PLAIN)),
)
AUDIO_ENCODER: tuple[Layer, ...] = (
    (1, 32, 3, (1, 1), 1, PLAIN),
    *[(32, 32, 3, (1, 1), 1, SKIP)] * 2,
    (32, 64, 3, (3, 1), 1, PLAIN),
    *[(64, 64, 3, (1, 1), 1, SKIP)] * 2,
    (64, 128, 3, (3, 3), 1, PLAIN),
    *[(128, 128, 3, (1, 1), 1, SKIP)] * 2,
    (128, 256, 3, (3, 2), 1, PLAIN),
    (256, 256, 3, (1, 1), 1, SKIP),
    (256, 512, 3, (1, 1), 0, PLAIN),
    (512, 512, 1, (1, 1), 0, PLAIN),
)
# Channels in, out, stride, padding, output padding of each block's transposed convolution; residual layers after it.
FACE_DECODER = (
    (1024, 512, 1, 0, 0, 1),
    (1024, 512, 2, 1, 1, 2),
    (768, 384, 2, 1, 1, 2),
    (512, 256, 2, 1, 1, 2),
    (320, 128, 2, 1, 1, 2),
    (160, 64, 2, 1, 1, 2),
)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)

    def add(self, operator: str, inputs: list[str], **attributes: object) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))  # type: ignore[arg-type]
        return name

    def weight(self, *shape: int) -> str:
        name = f"w_{len(self.weights)}"
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.0
        values = (self.random.standard_normal(shape, np.float32) * scale).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, layer: Layer, activation: str = "Relu") -> str:
        channels_in, channels_out, kernel, stride, padding, residual = layer
        parameters = [x, self.weight(channels_out, channels_in, kernel, kernel), self.weight(channels_out)]
        y = self.add("Conv", parameters, strides=list(stride), pads=[padding] * 4)
        return self.add(activation, [self.add("Add", [y, x]) if residual else y])

    def widening(self, x: str, block: tuple[int, int, int, int, int, int]) -> str:
        channels_in, channels_out, stride, padding, extra, residuals = block
        parameters = [x, self.weight(channels_in, channels_out, 3, 3), self.weight(channels_out)]
        y = self.add("ConvTranspose", parameters, strides=[stride] * 2, pads=[padding] * 4, output_padding=[extra] * 2)
        y = self.add("Relu", [y])
        for _ in range(residuals):
            y = self.convolution(y, (channels_out, channels_out, 3, (1, 1), 1, SKIP))
        return y


def make_yardstick() -> onnx.ModelProto:
    """audio (1, 1, 80, 16) mel and face (1, 6, 96, 96) -> picture (1, 3, 96, 96)."""
    if onnx is None:
        raise EngineMismatch("the yardstick is made with the package onnx", 'pip install "voxcam[bench]"')
    graph = _Graph()
    x, features = "face", []
    for stage in FACE_ENCODER:
        for layer in stage:
            x = graph.convolution(x, layer)
        features.append(x)
    sound = "audio"
    for layer in AUDIO_ENCODER:
        sound = graph.convolution(sound, layer)
    x = graph.convolution(sound, (512, 512, 1, (1, 1), 0, PLAIN))
    x = graph.add("Concat", [x, features.pop()], axis=1)
    for block in FACE_DECODER:
        x = graph.widening(x, block)
        x = graph.add("Concat", [x, features.pop()], axis=1)
    x = graph.convolution(x, (80, 32, 3, (1, 1), 1, PLAIN))
    x = graph.convolution(x, (32, 3, 1, (1, 1), 0, PLAIN), "Sigmoid")
    graph.nodes[-1].output[0] = "picture"

    def info(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    made = helper.make_graph(
        graph.nodes,
        NAME,
        [info("audio", 1, 1, 80, 16), info("face", 1, 6, 96, 96)],
        [info("picture", 1, 3, 96, 96)],
        graph.weights,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def yardstick_card(folder: Path | None = None) -> Path:
    """Path of the yardstick's card; made once and kept in the cache (145 MB)."""
    path = (folder or default_engines_dir()) / f"{NAME}.card.json"
    if path.exists() and path.with_name(f"{NAME}.onnx").exists():
        return path
    content = make_yardstick().SerializeToString()
    write_atomically(path.with_name(f"{NAME}.onnx"), content)
    EngineCard(
        name=NAME,
        sha256=file_sha256(content),
        spec=SPEC,
        inputs={"audio": TensorSpec((1, 1, 80, 16)), "face": TensorSpec((1, 6, 96, 96))},
        outputs={"picture": TensorSpec((1, 3, 96, 96))},
        opset=OPSET,
        metrics={"weights": "random: it draws nothing, it costs what the published network costs"},
    ).write(path)
    return path
