"""What is refused before it is loaded, and in which words."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from engines.card import EngineCard, TensorSpec, read_card, read_checked
from engines.errors import EngineMismatch
from engines.onnx_file import summarise_onnx
from engines.opening import open_session
from engines.spec import SPEC
from tests.engines.tiny_models import tiny_encoder, tiny_generator, write_model


def test_card_reads_back_as_written(models):
    card = read_card(models / "encoder.card.json")
    assert EngineCard.from_json(card.to_json()) == card
    assert card.inputs["samples"] == TensorSpec((1, 320))
    assert card.state_names == ("state.cell", "state.history")


def test_model_without_card_is_refused(models):
    (models / "encoder.card.json").unlink()
    with pytest.raises(EngineMismatch, match="no engine card"):
        open_session(models / "encoder.onnx")


def test_other_stream_spec_is_refused_by_what_differs(tmp_path):
    path = write_model(tmp_path, "encoder", tiny_encoder(), spec=dataclasses.replace(SPEC, sample_rate_hz=22_050))
    with pytest.raises(EngineMismatch, match=r"sample_rate_hz 22050 \(here 16000\)"):
        open_session(path)


def _cut(content):
    return content[:-1]


def _flip(content):
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


@pytest.mark.parametrize("damage", [_cut, _flip, lambda content: b""])
def test_damaged_model_is_refused_unloaded(models, damage, monkeypatch):
    path = models / "encoder.onnx"
    path.write_bytes(damage(path.read_bytes()))
    monkeypatch.setattr("engines.backends.find_backend", lambda name: pytest.fail("a library was asked"))
    with pytest.raises(EngineMismatch, match="cut short, damaged or swapped"):
        read_checked(models / "encoder.card.json")


def test_swapped_model_is_refused(models):
    (models / "encoder.onnx").write_bytes((models / "generator.onnx").read_bytes())
    with pytest.raises(EngineMismatch, match="swapped"):
        open_session(models / "encoder.card.json")


def test_weights_in_another_file_are_refused(tmp_path):
    model = tiny_encoder()
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../somewhere/secret")
    with pytest.raises(EngineMismatch, match=r"other files \(\.\./\.\./somewhere/secret\)"):
        write_model(tmp_path, "encoder", model)


@pytest.mark.parametrize("nested", [False, True])
def test_custom_operator_is_refused(tmp_path, nested):
    model = tiny_generator()
    node = helper.make_node("Launch", ["code"], ["code_2"], domain="com.example")
    if nested:
        inner = helper.make_graph([node], "inner", [], [])
        yes = helper.make_tensor("v", onnx.TensorProto.BOOL, [], [1])
        condition = helper.make_node("Constant", [], ["yes"], value=yes)
        model.graph.node.append(condition)
        node = helper.make_node("If", ["yes"], [], then_branch=inner, else_branch=inner)
    model.graph.node.append(node)
    with pytest.raises(EngineMismatch, match=r"com\.example\.Launch"):
        write_model(tmp_path, "generator", model)


def test_state_that_changes_shape_is_refused(models):
    raw = json.loads((models / "encoder.card.json").read_text())
    raw["outputs"]["state.cell.next"]["shape"] = [1, 65]
    with pytest.raises(EngineMismatch, match="does not come out as it went in"):
        EngineCard.from_json(json.dumps(raw))


def test_graph_that_differs_from_its_card_is_refused(models):
    """Buffers are made from the card; a graph with larger outputs would write past them."""
    path = models / "generator.card.json"
    raw = json.loads(path.read_text())
    raw["outputs"]["picture"]["shape"] = [1, 3, 8, 8]
    path.write_text(json.dumps(raw))
    with pytest.raises(EngineMismatch, match="other outputs than its card says: picture"):
        open_session(path)


def test_file_in_another_folder_is_refused(models):
    raw = json.loads((models / "encoder.card.json").read_text())
    with pytest.raises(EngineMismatch, match="another folder"):
        EngineCard.from_json(json.dumps({**raw, "file": "../encoder.onnx"}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_card_never_ends_in_another_exception(models, data):
    content = bytearray((models / "generator.card.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    path = models / "damaged.card.json"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_card(path)
    except EngineMismatch:
        return
    assert EngineCard.from_json(found.to_json()) == found


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_onnx_reader_takes_any_bytes(content):
    with contextlib.suppress(EngineMismatch):
        summarise_onnx(content)


def test_onnx_reader_finds_what_onnx_finds():
    model = tiny_encoder()
    found = summarise_onnx(model.SerializeToString())
    expected: dict[str, int] = {}
    for node in model.graph.node:
        expected[node.op_type] = expected.get(node.op_type, 0) + 1
    assert found.operators == expected
    assert found.opset == model.opset_import[0].version


def test_name_that_is_no_card():
    with pytest.raises(EngineMismatch, match=r"shipped model's name"):
        read_card("../encoder")
