"""Turn MediaPipe's models of faces and people (TFLite, Apache-2.0) into the three ONNX files in engines/weights/.

    python -m train.face.convert_mediapipe MODULES engines/weights

MODULES is the folder `mediapipe/modules` of an unpacked mediapipe wheel (0.10.21 was used). It makes:

- face_detector.onnx from face_detection/face_detection_short_range.tflite: BlazeFace on 128x128 pictures.
- face_landmarks.onnx from face_landmark/face_landmark_with_attention.tflite: Attention Mesh (Grishchenko et al. 2020),
  468 points and two irises; lips and eyes are read a second time from feature maps cut out around them. MediaPipe
  merges those readings outside of the network; here the graph does it, so that its output is the 478 finished points.
- person_mask.onnx from selfie_segmentation/selfie_segmentation.tflite: how likely each px of 256x256 shows a person.

Weights stay float16 as they come, each behind a Cast that the runtime folds away when it loads. Custom operators
are written with standard ones, after mediapipe/util/tflite/operations/*.cc (version 2).
TFLite keeps maps as (batch, height, width, channels), ONNX as (batch, channels, height, width): spatial maps live in
ONNX's order here, and reshapes turn them back first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tflite
from flatbuffers import flexbuffers
from onnx import TensorProto, helper, numpy_helper

from engines.card import EngineCard, TensorSpec, file_sha256
from engines.face.landmarker import MESH_INPUT_PX
from engines.face.person import MASK_PX
from engines.face_points import FACE
from engines.spec import SPEC
from engines.whole_file import write_atomically

OPSET = 16  # the first with GridSample
LICENCE = "Apache-2.0, copyright The MediaPipe Authors; converted to ONNX, weights unchanged"
EYE_CONTOUR_POINTS = 16  # the first points of each eye's list ring the eyeball; an iris takes its depth from them
NUMPY_TYPES = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.FLOAT16: np.float16}
NUMPY_TYPES |= {tflite.TensorType.INT32: np.int32, tflite.TensorType.INT64: np.int64}
OPERATOR_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME padding of one axis, before and after: the odd pixel goes behind."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


class GraphWriter:
    """Collects ONNX nodes and weights; every method that adds a node returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.taken: set[str] = set()

    def _name(self, wish: str) -> str:
        name, count = wish, 1
        while name in self.taken:
            count += 1
            name = f"{wish}_{count}"
        self.taken.add(name)
        return name

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = self._name(operator)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def rename(self, tensor: str, name: str) -> str:
        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=self._name(f"{name}_identity")))
        return name

    def constant(self, value: npt.ArrayLike, dtype: type = np.float32) -> str:
        name = self._name("constant")
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, value: np.ndarray) -> str:
        """A float16 weight, used as float32."""
        return self.add("Cast", [self.constant(value, np.float16)], to=TensorProto.FLOAT)


class TfliteGraph:
    """One TFLite subgraph, written operator by operator into a GraphWriter."""

    def __init__(self, data: bytes, writer: GraphWriter, input_name: str) -> None:
        self.model = tflite.Model.GetRootAs(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.writer = writer
        self.written: dict[int, str] = {}  # TFLite tensor -> ONNX tensor; spatial maps in ONNX's order
        self.spatial: set[int] = set()  # TFLite tensors whose ONNX twin has its axes turned
        self.weights: dict[int, np.ndarray] = {}
        self.custom_options: dict[str, list[dict]] = {}
        first = int(self.graph.Inputs(0))
        self.written[first] = writer.add("Transpose", [input_name], perm=[0, 3, 1, 2])
        self.spatial.add(first)
        for index in range(self.graph.OperatorsLength()):
            self._write(self.graph.Operators(index))

    def shape(self, tensor: int) -> list[int]:
        return [int(size) for size in self.graph.Tensors(tensor).ShapeAsNumpy()]

    def array(self, tensor: int) -> np.ndarray:
        """Values of a constant tensor, in TFLite's order of axes."""
        if tensor in self.weights:
            return self.weights[tensor]
        raw = self.model.Buffers(self.graph.Tensors(tensor).Buffer()).DataAsNumpy()
        if isinstance(raw, int):
            raise ValueError(f"tensor {tensor} is no constant")
        return np.frombuffer(raw.tobytes(), NUMPY_TYPES[self.graph.Tensors(tensor).Type()]).reshape(self.shape(tensor))

    def plain(self, tensor: int) -> str:
        """The ONNX tensor in TFLite's order of axes."""
        if tensor in self.spatial:
            return self.writer.add("Transpose", [self.written[tensor]], perm=[0, 2, 3, 1])
        return self.written[tensor]

    def _options(self, operator: tflite.Operator, kind: type) -> Any:
        options = kind()
        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
        return options

    def _write(self, operator: tflite.Operator) -> None:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        name = OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if name == "CUSTOM":
            name = code.CustomCode().decode()
        writers: dict[str, Callable[[tflite.Operator, list[int], int], None]] = {
            "DEQUANTIZE": self._dequantize,
            "CONV_2D": self._conv,
            "DEPTHWISE_CONV_2D": self._depthwise_conv,
            "Convolution2DTransposeBias": self._transposed_conv,
            "PRELU": self._prelu,
            "RELU": self._relu,
            "HARD_SWISH": self._hard_swish,
            "LOGISTIC": self._logistic,
            "ADD": self._add,
            "MUL": self._mul,
            "AVERAGE_POOL_2D": self._mean_of_map,
            "RESIZE_BILINEAR": self._resize,
            "MAX_POOL_2D": self._max_pool,
            "PAD": self._pad,
            "RESHAPE": self._reshape,
            "CONCATENATION": self._concatenation,
            "STRIDED_SLICE": self._whole_slice,
            "Landmarks2TransformMatrix": self._landmarks_to_matrix,
            "TransformTensorBilinear": self._cut_out,
            "TransformLandmarks": self._transform_landmarks,
        }
        if name not in writers:
            raise NotImplementedError(f"TFLite operator {name}")
        writers[name](operator, [int(i) for i in operator.InputsAsNumpy()], int(operator.Outputs(0)))

    def _spatial_output(self, tensor: int, name: str) -> None:
        self.written[tensor] = name
        self.spatial.add(tensor)

    def _dequantize(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        self.weights[output] = self.array(inputs[0])

    def _activation(self, name: str, code: int) -> str:
        if code == tflite.ActivationFunctionType.NONE:
            return name
        if code == tflite.ActivationFunctionType.RELU:
            return self.writer.add("Relu", [name])
        raise NotImplementedError(f"fused activation {code}")

    def _any_conv(self, inputs: list[int], output: int, kernel: np.ndarray, groups: int, options: Any) -> None:
        height, width = self.shape(inputs[0])[1:3]
        strides = [options.StrideH(), options.StrideW()]
        pads = [0, 0, 0, 0]
        if options.Padding() == tflite.Padding.SAME:
            top, bottom = same_padding(height, kernel.shape[2], strides[0], options.DilationHFactor())
            left, right = same_padding(width, kernel.shape[3], strides[1], options.DilationWFactor())
            pads = [top, left, bottom, right]
        tensors = [self.written[inputs[0]], self.writer.weight(kernel), self.writer.weight(self.array(inputs[2]))]
        dilations = [options.DilationHFactor(), options.DilationWFactor()]
        name = self.writer.add("Conv", tensors, strides=strides, pads=pads, dilations=dilations, group=groups)
        self._spatial_output(output, self._activation(name, options.FusedActivationFunction()))

    def _conv(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        kernel = self.array(inputs[1]).transpose(0, 3, 1, 2)
        self._any_conv(inputs, output, kernel, 1, self._options(operator, tflite.Conv2DOptions))

    def _depthwise_conv(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        kernel = self.array(inputs[1]).transpose(3, 0, 1, 2)
        channels = self.shape(inputs[0])[3]
        self._any_conv(inputs, output, kernel, channels, self._options(operator, tflite.DepthwiseConv2DOptions))

    def _transposed_conv(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        height, width = self.shape(inputs[0])[1:3]
        kernel = self.array(inputs[1]).transpose(3, 0, 1, 2)
        strides = [size // before for size, before in zip(self.shape(output)[1:3], (height, width), strict=True)]
        if list(kernel.shape[2:]) != strides:
            raise NotImplementedError("a transposed convolution whose strokes overlap")
        tensors = [self.written[inputs[0]], self.writer.weight(kernel), self.writer.weight(self.array(inputs[2]))]
        self._spatial_output(output, self.writer.add("ConvTranspose", tensors, strides=strides))

    def _prelu(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        slope = self.array(inputs[1]).transpose(2, 0, 1)
        self._spatial_output(output, self.writer.add("PRelu", [self.written[inputs[0]], self.writer.weight(slope)]))

    def _relu(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        self._spatial_output(output, self.writer.add("Relu", [self.written[inputs[0]]]))

    def _hard_swish(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        self._spatial_output(output, self.writer.add("HardSwish", [self.written[inputs[0]]]))

    def _logistic(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        self._spatial_output(output, self.writer.add("Sigmoid", [self.written[inputs[0]]]))

    def _add(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        name = self.writer.add("Add", [self.written[tensor] for tensor in inputs])
        code = self._options(operator, tflite.AddOptions).FusedActivationFunction()
        self._spatial_output(output, self._activation(name, code))

    def _mul(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        if inputs[1] in self.spatial:
            self._spatial_output(output, self.writer.add("Mul", [self.written[tensor] for tensor in inputs]))
            return
        factor = self.writer.constant(self.array(inputs[1]))
        self.written[output] = self.writer.add("Mul", [self.plain(inputs[0]), factor])

    def _mean_of_map(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        if self.shape(output)[1:3] != [1, 1]:
            raise NotImplementedError("a mean of less than the map")
        self._spatial_output(output, self.writer.add("GlobalAveragePool", [self.written[inputs[0]]]))

    def _resize(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        options = self._options(operator, tflite.ResizeBilinearOptions)
        if options.AlignCorners():
            raise NotImplementedError("a resizing that aligns corners")
        mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
        height, width = self.shape(output)[1:3]
        sizes = self.writer.constant([1, self.shape(output)[3], height, width], np.int64)
        tensors = [self.written[inputs[0]], "", "", sizes]
        name = self.writer.add("Resize", tensors, mode="linear", coordinate_transformation_mode=mode)
        self._spatial_output(output, name)

    def _max_pool(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        options = self._options(operator, tflite.Pool2DOptions)
        kernel, strides = [options.FilterHeight(), options.FilterWidth()], [options.StrideH(), options.StrideW()]
        pads = [same_padding(self.shape(inputs[0])[1 + axis], kernel[axis], strides[axis]) for axis in range(2)]
        if options.Padding() == tflite.Padding.VALID:
            pads = [(0, 0), (0, 0)]
        corners = [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]
        tensors = [self.written[inputs[0]]]
        name = self.writer.add("MaxPool", tensors, kernel_shape=kernel, strides=strides, pads=corners)
        self._spatial_output(output, name)

    def _pad(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        before, after = self.array(inputs[1])[[0, 3, 1, 2]].T
        pads = self.writer.constant(np.concatenate([before, after]), np.int64)
        self._spatial_output(output, self.writer.add("Pad", [self.written[inputs[0]], pads]))

    def _reshape(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        shape = self.writer.constant(self.shape(output), np.int64)
        self.written[output] = self.writer.add("Reshape", [self.plain(inputs[0]), shape])

    def _concatenation(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        axis = self._options(operator, tflite.ConcatenationOptions).Axis()
        self.written[output] = self.writer.add("Concat", [self.plain(tensor) for tensor in inputs], axis=axis)

    def _whole_slice(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        if self.shape(inputs[0]) != self.shape(output):
            raise NotImplementedError("a slice that cuts something off")
        self.written[output] = self.plain(inputs[0])

    def _landmarks_to_matrix(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Points (1, 468, 3) -> matrix (1, 4, 4) from px of the cut-out to px of the map.

        The cut-out is `scale` times the box around a subset of the points, upright along a line between two of them.
        """
        options = flexbuffers.Loads(bytes(operator.CustomOptionsAsNumpy()))
        self.custom_options.setdefault("Landmarks2TransformMatrix", []).append(options)
        if options["target_rotation_radians"] != 0:
            raise NotImplementedError("a cut-out that is not upright")
        add, constant = self.writer.add, self.writer.constant
        xy = add("Gather", [self.plain(inputs[0]), constant([0, 1], np.int64)], axis=2)
        ends = constant([options["right_rotation_idx"], options["left_rotation_idx"]], np.int64)
        right, left = self._split(add("Gather", [xy, ends], axis=1), axis=1)  # (1, 1, 2) each
        along = add("Sub", [right, left])
        along = add("Div", [along, add("ReduceL2", [along], axes=[2], keepdims=1)])  # cos, sin of the line
        # With the row vector p, p @ turn is p seen from the cut-out's own axes.
        quarter_turn = constant([[[0, 1], [-1, 0]]])
        rows = add("Concat", [along, add("MatMul", [along, quarter_turn])], axis=1)  # (1, 2, 2): axes of the cut-out
        turn = add("Transpose", [rows], perm=[0, 2, 1])
        subset = add("Gather", [xy, constant(options["subset_idxs"], np.int64)], axis=1)
        turned = add("MatMul", [subset, turn])
        low = add("ReduceMin", [turned], axes=[1], keepdims=1)
        high = add("ReduceMax", [turned], axes=[1], keepdims=1)
        center = add("MatMul", [add("Mul", [add("Add", [low, high]), constant(0.5)]), rows])
        side = np.array([options["output_width"], options["output_height"]], np.float32)
        per_px = constant(np.array([options["scale_x"], options["scale_y"]], np.float32) / side)
        scale = add("Mul", [add("Sub", [high, low]), per_px])  # map px per cut-out px, (1, 1, 2)
        linear = add("Mul", [turn, scale])  # columns are the cut-out's axes, scaled
        half = add("MatMul", [linear, constant((side / 2).reshape(1, 2, 1))])
        shift = add("Sub", [add("Reshape", [center, constant([1, 2, 1], np.int64)]), half])
        top = add("Concat", [linear, constant(np.zeros((1, 2, 1))), shift], axis=2)
        self.written[output] = add("Concat", [top, constant([[[0, 0, 1, 0], [0, 0, 0, 1]]])], axis=1)

    def _split(self, tensor: str, axis: int) -> list[str]:
        parts = []
        for index in range(2):
            position = self.writer.constant([index], np.int64)
            parts.append(self.writer.add("Gather", [tensor, position], axis=axis))
        return parts

    def _matrix_parts(self, matrix: str) -> tuple[str, str]:
        """Upper left (1, 2, 2) turned over, for row vectors, and shift (1, 1, 2) of a (1, 4, 4) matrix."""
        add, constant = self.writer.add, self.writer.constant
        columns = add("Transpose", [add("Gather", [matrix, constant([0, 1], np.int64)], axis=1)], perm=[0, 2, 1])
        linear = add("Gather", [columns, constant([0, 1], np.int64)], axis=1)
        return linear, add("Gather", [columns, constant([3], np.int64)], axis=1)

    def _cut_out(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Map (1, H, W, C) and matrix -> cut-out (1, h, w, C), bilinear; places outside of the map are 0."""
        options = flexbuffers.Loads(bytes(operator.CustomOptionsAsNumpy()))
        height, width = options["output_height"], options["output_width"]
        add, constant = self.writer.add, self.writer.constant
        linear, shift = self._matrix_parts(self.plain(inputs[1]))
        y, x = np.mgrid[:height, :width] + 0.5  # centres of the px
        pixels = constant(np.stack([x, y], -1).reshape(1, height * width, 2))
        places = add("Sub", [add("Add", [add("MatMul", [pixels, linear]), shift]), constant(0.5)])
        last = np.array(self.shape(inputs[0])[2:0:-1], np.float32) - 1
        grid = add("Sub", [add("Mul", [places, constant(2 / last)]), constant(1)])
        # GridSample fades out over one px beyond the edge where TFLite cuts hard: a mask makes up for it.
        inside = add("LessOrEqual", [add("ReduceMax", [add("Abs", [grid])], axes=[2], keepdims=1), constant(1)])
        inside = add("Cast", [inside], to=TensorProto.FLOAT)
        grid = add("Reshape", [grid, constant([1, height, width, 2], np.int64)])
        attributes = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 1}
        sampled = add("GridSample", [self.written[inputs[0]], grid], **attributes)
        mask = add("Reshape", [inside, constant([1, 1, height, width], np.int64)])
        self._spatial_output(output, add("Mul", [sampled, mask]))

    def _transform_landmarks(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        linear, shift = self._matrix_parts(self.plain(inputs[1]))
        self.written[output] = self.writer.add(
            "Add", [self.writer.add("MatMul", [self.plain(inputs[0]), linear]), shift]
        )


def finish_detector(graph: TfliteGraph, writer: GraphWriter) -> dict[str, tuple[int, ...]]:
    """Name the outputs: boxes and key points per anchor in px of the input, and scores as probabilities."""
    boxes, scores = (int(graph.graph.Outputs(index)) for index in range(2))
    anchors = graph.shape(boxes)[1]
    writer.rename(graph.written[boxes], "boxes")
    clipped = writer.add("Clip", [graph.written[scores], writer.constant(-100.0), writer.constant(100.0)])
    writer.rename(
        writer.add("Reshape", [writer.add("Sigmoid", [clipped]), writer.constant([1, anchors], np.int64)]), "scores"
    )
    return {"boxes": (1, anchors, 16), "scores": (1, anchors)}


def finish_landmarks(graph: TfliteGraph, writer: GraphWriter) -> dict[str, tuple[int, ...]]:
    """Merge mesh, lips, eyes and irises to 478 points in px of the crop.

    Lips and eyes replace x and y of the points they list and leave their z (face_landmark.cc's refinement); an iris
    takes the mean z of the ring around its eyeball. The lists are those that the network itself cuts out by.
    """
    names = {graph.graph.Tensors(int(i)).Name().decode(): int(i) for i in graph.graph.OutputsAsNumpy()}
    lips, right_eye, left_eye = (o["subset_idxs"] for o in graph.custom_options["Landmarks2TransformMatrix"])

    def points(name: str, dimensions: int) -> str:
        shape = writer.constant([-1, dimensions], np.int64)
        return writer.add("Reshape", [graph.plain(names[name]), shape])

    def columns(tensor: str, wanted: list[int]) -> str:
        return writer.add("Gather", [tensor, writer.constant(wanted, np.int64)], axis=1)

    mesh = points("output_mesh_identity", 3)
    # MediaPipe's names are the picture's sides: its left eye is the person's right one.
    refined = [points(name, 2) for name in ("output_lips", "output_left_eye", "output_right_eye")]
    # One table, (468 + 80 + 71 + 71, 2): a point that is read twice takes the last reading. Gather instead of scatter.
    table = writer.add("Concat", [columns(mesh, [0, 1]), *refined], axis=0)
    source = np.arange(FACE)
    first = FACE
    for subset in (lips, right_eye, left_eye):
        source[subset] = np.arange(first, first + len(subset))
        first += len(subset)
    xy = writer.add("Gather", [table, writer.constant(source, np.int64)], axis=0)
    face = writer.add("Concat", [xy, columns(mesh, [2])], axis=1)
    irises = []
    for name, ring in (("output_left_iris", right_eye), ("output_right_iris", left_eye)):
        around = writer.constant(ring[:EYE_CONTOUR_POINTS], np.int64)
        depth = writer.add("ReduceMean", [writer.add("Gather", [columns(mesh, [2]), around], axis=0)], axes=[0])
        depth = writer.add("Expand", [depth, writer.constant([5, 1], np.int64)])
        irises.append(writer.add("Concat", [points(name, 2), depth], axis=1))
    writer.rename(writer.add("Concat", [face, *irises], axis=0), "landmarks")
    flag = writer.add("Reshape", [graph.plain(names["conv_faceflag"]), writer.constant([1], np.int64)])
    writer.rename(writer.add("Sigmoid", [flag]), "presence")
    return {"landmarks": (478, 3), "presence": (1,)}


def finish_mask(graph: TfliteGraph, writer: GraphWriter) -> dict[str, tuple[int, ...]]:
    """Name the output: a person's likelihood for each px of the input."""
    output = int(graph.graph.Outputs(0))
    shape = tuple(graph.shape(output)[1:3])
    writer.rename(writer.add("Reshape", [graph.written[output], writer.constant([1, *shape], np.int64)]), "person")
    return {"person": (1, *shape)}


def convert(source: Path, name: str, input_px: int, finish: Callable, folder: Path) -> None:
    """Write NAME.onnx and NAME.card.json from one TFLite file."""
    data = source.read_bytes()
    writer = GraphWriter()
    outputs = finish(TfliteGraph(data, writer, "picture"), writer)
    inputs = {"picture": (1, input_px, input_px, 3)}
    graph = helper.make_graph(
        writer.nodes,
        name,
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
        writer.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="voxcam")
    model.ir_version = 8  # read by every onnxruntime that we allow
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    origin = f"mediapipe 0.10.21, mediapipe/modules/{source.parent.name}/{source.name}, sha256 {file_sha256(data)}"
    card = EngineCard(
        name=name,
        sha256=file_sha256(content),
        spec=SPEC,
        inputs={key: TensorSpec(shape) for key, shape in inputs.items()},
        outputs={key: TensorSpec(shape) for key, shape in outputs.items()},
        opset=OPSET,
        data_licences={origin: LICENCE},
    )
    write_atomically(folder / f"{name}.onnx", content)
    card.write(folder / f"{name}.card.json")
    print(f"{folder / name}.onnx: {len(content) / 1e6:.2f} MB, {len(writer.nodes)} nodes")


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert MediaPipe's models of faces and people to ONNX.")
    parser.add_argument("modules", type=Path, help="folder mediapipe/modules of an unpacked mediapipe wheel")
    parser.add_argument("folder", type=Path, help="where the ONNX files and cards go")
    arguments = parser.parse_args()
    detector = arguments.modules / "face_detection" / "face_detection_short_range.tflite"
    landmarks = arguments.modules / "face_landmark" / "face_landmark_with_attention.tflite"
    mask = arguments.modules / "selfie_segmentation" / "selfie_segmentation.tflite"
    for source in (detector, landmarks, mask):
        if not source.is_file():
            parser.error(f"{source} is missing: unpack a mediapipe wheel and name its folder mediapipe/modules")
    convert(detector, "face_detector", 128, finish_detector, arguments.folder)
    convert(landmarks, "face_landmarks", MESH_INPUT_PX, finish_landmarks, arguments.folder)
    convert(mask, "person_mask", MASK_PX, finish_mask, arguments.folder)


if __name__ == "__main__":
    main()
