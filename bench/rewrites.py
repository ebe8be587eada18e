"""`voxcam bench rewrites`: the same arithmetic written in other ways, measured, so that graphs are drawn the fast way.

What was found and chosen stands in docs/decisions.md.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from bench.latency import Progress
from bench.rows import Row, value_row
from bench.throughput import TURN_S, Contestant, stepper
from engines.card import EngineCard, TensorSpec, file_sha256
from engines.drawing.warp import FINE, GRID_PX, BackwardMap, fetch_box, make_finer
from engines.errors import EngineMismatch, VoxcamError
from engines.opening import open_session
from engines.spec import SPEC

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    onnx = None  # type: ignore[assignment]

CHANNELS, SIZE = 64, 64  # of the feature map that convolutions are compared on
WARP = (720, 832)  # rows, columns of the picture that is warped: a face in a 720p camera picture
ENGINES = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"))


def measure_rewrites(repeats: int = 5, progress: Progress = lambda text: None) -> list[Row]:
    """Milliseconds of processor time a call, for each way to write a thing, in each engine."""
    if onnx is None:
        raise EngineMismatch("graphs are written with the package onnx", 'pip install "voxcam[bench]"')
    with TemporaryDirectory() as folder, ExitStack() as stack:
        contestants = _remaps()
        for what, way, model in _graphs():
            card = _write(Path(folder), f"{what}-{way}".replace(" ", "_"), model)
            for backend, precision in ENGINES:
                try:
                    session = stack.enter_context(open_session(card, backend, precision=precision))
                except VoxcamError as error:
                    progress(f"left out: {what} {way} in {backend} {precision}: {error.what}")
                    continue
                random = np.random.default_rng(0)
                inputs = {n: random.random((1, *a.shape), np.float32) * 2 - 1 for n, a in session.inputs.items()}
                about = {"what": what, "way": way, "engine": f"{backend} {precision}"}
                contestants.append(Contestant(stepper(session, inputs), **about))
        for turn in range(repeats):
            progress(f"rewrites: round {turn + 1} of {repeats}, {len(contestants)} contestants")
            for contestant in contestants:
                contestant.take_turn(TURN_S)
    return [value_row("rewrite", [1e3 / rate for rate in c.rates], "ms", **c.about) for c in contestants]


def _remaps() -> list[Contestant]:
    """OpenCV's remap, given its map, and the kernel of engines/drawing/warp.py, which reckons its own."""
    rows, columns = WARP
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (rows, columns, 3), np.uint8)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    from_x, from_y = x + 3 * np.sin(y / 40), y + 3 * np.cos(x / 40)
    out = np.empty_like(picture)
    finer = make_finer(picture, (0, 0, columns, rows))
    ways = {
        "bilinear": (picture, 1, cv2.INTER_LINEAR),
        "bicubic": (picture, 1, cv2.INTER_CUBIC),
        "bilinear, photo twice as fine": (finer, FINE, cv2.INTER_LINEAR),
    }

    def remap(source: np.ndarray, whole: np.ndarray, parts: np.ndarray, interpolation: int) -> None:
        cv2.setNumThreads(1)
        cv2.remap(source, whole, parts, interpolation, dst=out, borderMode=cv2.BORDER_REPLICATE)

    contestants = []
    for way, (source, times, kind) in ways.items():
        whole, parts = cv2.convertMaps(times * from_x, times * from_y, cv2.CV_16SC2)
        about = {"what": f"warp {way}", "way": "cv2.remap, 8 bit", "engine": "opencv"}
        contestants.append(Contestant(partial(remap, source, whole, parts, kind), **about))
    maps = BackwardMap.over(np.array([0, 0, columns, rows]))
    y, x = (GRID_PX * np.indices(maps.shift.shape[:2]) + maps.grid[0]).astype(np.float32)
    maps.shift[:] = np.stack([3 * np.sin(y / 40), 3 * np.cos(x / 40)], -1)
    about = {"what": "warp bilinear, photo twice as fine", "way": "fetched and weighed at once", "engine": "numba"}
    contestants.append(Contestant(partial(fetch_box, finer, picture, maps, out), **about))
    return contestants


def _graphs() -> list[tuple[str, str, Any]]:
    random = np.random.default_rng(1)

    def weight(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    shape = (1, CHANNELS, SIZE, SIZE)
    wide = (1, CHANNELS, 2 * SIZE, 2 * SIZE)
    c = CHANNELS
    node = helper.make_node
    scales = np.array([1, 1, 2, 2], np.float32)
    resize = node("Resize", ["x", "", "scales"], ["large"], mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")  # fmt: skip
    plain = {"w": weight(c, c, 3, 3)}
    graphs = [
        ("convolution 3x3", "plain", [_conv("x", "w", "y")], plain, shape, shape),
        (
            "convolution 3x3",
            "depthwise, then 1x1",
            [_conv("x", "d", "deep", group=c), _conv("deep", "p", "y", pad=0)],
            {"d": weight(c, 1, 3, 3), "p": weight(c, c, 1, 1)},
            shape,
            shape,
        ),
        (
            "twice as large",
            "nearest, then 3x3",
            [resize, _conv("large", "w", "y")],
            {**plain, "scales": scales},
            shape,
            wide,
        ),
        (
            "twice as large",
            "3x3, then pixel shuffle",
            [_conv("x", "w", "many"), node("DepthToSpace", ["many"], ["y"], blocksize=2, mode="CRD")],
            {"w": weight(4 * c, c, 3, 3)},
            shape,
            wide,
        ),
        (
            "twice as large",
            "transposed convolution 4x4",
            [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])],
            {"w": weight(c, c, 4, 4)},
            shape,
            wide,
        ),
        (
            "part of a map",
            "slice assignment (ScatterND)",
            [node("ScatterND", ["x", "places", "part"], ["y"])],
            {
                "places": np.stack(np.meshgrid([0], np.arange(c), np.arange(SIZE // 2), indexing="ij"), -1).astype(
                    np.int64
                ),
                "part": weight(1, c, SIZE // 2, SIZE),
            },
            shape,
            shape,
        ),
        (
            "part of a map",
            "concatenation",
            [
                node("Slice", ["x", "from", "to", "axis"], ["head"]),
                node("Concat", ["head", "part"], ["y"], axis=2),
            ],
            {
                "from": np.array([0], np.int64),
                "to": np.array([SIZE // 2], np.int64),
                "axis": np.array([2], np.int64),
                "part": weight(1, c, SIZE // 2, SIZE),
            },
            shape,
            shape,
        ),
    ]
    found = [(what, way, _model(nodes, w, {"x": i}, o)) for what, way, nodes, w, i, o in graphs]
    rows, columns = WARP
    for mode, name in (("bilinear", "bilinear"), ("bicubic", "bicubic")):
        sample = node("GridSample", ["x", "grid"], ["y"], mode=mode, padding_mode="border", align_corners=0)
        picture = (1, 3, rows, columns)
        found.append(
            (f"warp {name}", "GridSample", _model([sample], {}, {"x": picture, "grid": (1, rows, columns, 2)}, picture))
        )
    return found


def _conv(x: str, w: str, y: str, pad: int = 1, group: int = 1) -> Any:
    return helper.make_node("Conv", [x, w], [y], pads=[pad] * 4, group=group)


def _model(nodes: list[Any], weights: dict[str, np.ndarray], inputs: dict[str, tuple[int, ...]], out: Any) -> Any:
    def info(name: str, shape: tuple[int, ...]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    initialisers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    given = [info(name, shape) for name, shape in inputs.items()]
    graph = helper.make_graph(nodes, "rewrite", given, [info("y", out)], initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _write(folder: Path, name: str, model: Any) -> Path:
    name = "".join(letter if letter.isalnum() or letter in "_-" else "" for letter in name)
    content = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(content)

    def tensors(values: Any) -> dict[str, TensorSpec]:
        return {v.name: TensorSpec(tuple(d.dim_value for d in v.type.tensor_type.shape.dim)) for v in values}

    path = folder / f"{name}.card.json"
    EngineCard(
        name, file_sha256(content), SPEC, tensors(model.graph.input), tensors(model.graph.output), opset=17
    ).write(path)
    return path
