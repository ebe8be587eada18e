"""A PyTorch module with fixed shapes -> NAME.onnx, NAME.card.json, NAME.golden.npz: the only hand-over to engines.

The golden stream (engines/golden.py) is made by the PyTorch module in float32, not by the ONNX file it judges.
"""

from __future__ import annotations

import datetime
import io
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engines.card import EngineCard, TensorSpec, file_sha256
from engines.errors import EngineMismatch, InputError, WrongInput
from engines.golden import Golden, verify
from engines.opening import open_session
from engines.spec import SPEC
from engines.whole_file import write_atomically

OPSET = 18


def graph_bytes(module: nn.Module, inputs: dict[str, torch.Tensor], outputs: Sequence[str]) -> bytes:
    """One graph as an ONNX file, checked and cleaned of what is constant and of the exporter's notes."""
    import onnx

    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.optimize()
    buffer = io.BytesIO()
    onnx.save_model(program.model_proto, buffer)
    model = onnx.load_model_from_string(buffer.getvalue())
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = "spec", SPEC.to_json()
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def write_model(
    name: str,
    model: bytes,
    golden: Golden,
    inputs: dict[str, TensorSpec],
    outputs: dict[str, TensorSpec],
    out: Path,
    metrics: dict[str, Any],
    data_licences: dict[str, str],
) -> EngineCard:
    """Write model, card and golden stream into `out`, and replay the stream; EngineMismatch where they differ."""
    out.mkdir(parents=True, exist_ok=True)
    golden.write(out / f"{name}.golden.npz")
    card = EngineCard(
        name=name,
        sha256=file_sha256(model),
        spec=SPEC,
        inputs=inputs,
        outputs=outputs,
        opset=OPSET,
        commit=commit_of(Path(__file__).parent),
        metrics=metrics,
        data_licences=data_licences,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        file=f"{name}.onnx",
        golden_sha256=file_sha256((out / f"{name}.golden.npz").read_bytes()),
    )
    write_atomically(out / f"{name}.onnx", model)
    card.write(out / f"{name}.card.json")
    with open_session(out / f"{name}.card.json", backend="onnxruntime", precision="fp32", threads=1) as session:
        compared = verify(session, golden)
    if not compared.passed:
        raise EngineMismatch(f"the ONNX file of {name} differs from PyTorch: {compared.refusal()}", "this is a bug")
    return card


def read_graph(path: Path, advice: str) -> tuple[Any, dict[str, np.ndarray]]:
    """The graph of an exported file and its weights by name; WrongInput (with `advice`) or InputError otherwise."""
    import onnx
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise WrongInput(f"there is no {path}", advice)
    try:
        graph = onnx.load(path).graph
    except DecodeError as error:
        raise InputError(f"{path} is damaged ({error})", "export it again") from error
    return graph, {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def commit_of(folder: Path) -> str:
    """The checkout's commit, or "" where there is none."""
    try:
        run = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip()
