"""The table of engines and its report, on tiny models."""

from __future__ import annotations

import json

import pytest

import bench.engines_report
import engines.card
import engines.golden
from bench.engines_report import measure_engines, write_engines_report
from bench.throughput import engine_contestants
from engines.building import auto, build
from engines.errors import EngineMismatch
from tests.engines.tiny_models import tiny_encoder, tiny_generator, write_model


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A shipped encoder and a yardstick, both tiny, timed for a moment."""
    folder = tmp_path / "weights"
    write_model(folder, "encoder", tiny_encoder())
    yardstick = write_model(tmp_path / "cache", "yardstick", tiny_generator())
    yardstick.with_name("yardstick.golden.npz").unlink()
    for module in (build, engines.card, engines.golden):
        monkeypatch.setattr(module, "WEIGHTS", folder)
    monkeypatch.setattr(engines.golden.golden_path, "__defaults__", (folder,))
    monkeypatch.setattr(bench.engines_report, "yardstick_card", lambda: yardstick)
    monkeypatch.setattr(bench.engines_report, "TURN_S", 0.01)
    monkeypatch.setattr(auto, "measure", lambda session, *_: {"onnxruntime": 1.0}.get(session.backend, 2.0))
    return yardstick


def test_every_engine_has_a_row(tiny, tmp_path):
    rows = measure_engines(repeats=2)
    ran = {(row["model"], row["backend"], row["precision"]): row for row in rows if row.get("ms")}
    assert ("encoder", "onnxruntime", "fp32") in ran
    assert ("encoder", "onnxruntime", "int8") in ran
    assert ("yardstick", "onnxruntime", "fp32") in ran
    exact, coarse = ran["encoder", "onnxruntime", "fp32"], ran["encoder", "onnxruntime", "int8"]
    assert exact["error"] < coarse["error"] < 0.1
    assert exact["phones_same"] == 1
    assert coarse["opening_error"] > 0
    assert exact["size_mb"] > coarse["size_mb"] > 0
    for row in ran.values():
        assert len(row["repeats"]) == 2
        assert row["per_second"] == pytest.approx(1e3 / row["ms"], rel=0.05)
    write_engines_report(rows, tmp_path / "report")
    text = (tmp_path / "report" / "README.md").read_text()
    assert "| encoder | onnxruntime | fp32 |" in text
    assert "times as many" in text
    assert "encoder: onnxruntime fp32 on cpu (1.000 ms), then" in text
    assert "MatMul" in text, "no profile by layer"
    assert (tmp_path / "report" / "engines.png").exists()
    assert json.loads((tmp_path / "report" / "rows.json").read_text())["rows"]


def test_missing_library_is_a_row_with_its_reason(tiny, monkeypatch):
    from engines.backends import tensorrt_

    monkeypatch.setattr(tensorrt_, "trt", None)
    (row,) = measure_engines("tensorrt", repeats=2)
    assert row["note"] == "TensorRT is not installed"


def test_contestants_of_a_missing_library(tiny, monkeypatch):
    from contextlib import ExitStack

    from engines.backends import openvino_

    monkeypatch.setattr(openvino_, "ov", None)
    card, told = engines.card.card_path("encoder"), []
    card = engines.card.WEIGHTS / card.name
    with ExitStack() as stack:
        found, refused = engine_contestants(card, "all", 1, stack, told.append)
        assert {contestant.about["engine"] for contestant in found} == {"onnxruntime cpu"}
        assert refused == []
        assert "left out: OpenVINO is not installed" in told
        found[0].take_turn(0.01)
        assert found[0].rates[0] > 0
        with pytest.raises(EngineMismatch, match="not installed"):
            engine_contestants(card, "openvino", 1, stack, told.append)


def test_an_engine_that_verification_refuses_is_no_figure(tiny, monkeypatch):
    """It is listed with the reason: it would never be used, so how fast it is wrong is of no use."""
    from contextlib import ExitStack

    monkeypatch.setitem(engines.golden.TOLERANCES, "fp32", -1.0)
    card, told = engines.card.WEIGHTS / "encoder.card.json", []
    with ExitStack() as stack:
        found, refused = engine_contestants(card, "onnxruntime", 1, stack, told.append)
    assert found == []
    assert [(row["measure"], row["precision"]) for row in refused] == [("refused", "fp32")]
    assert "is off by" in refused[0]["note"]
    assert any(text.startswith("refused: encoder onnxruntime fp32") for text in told)
