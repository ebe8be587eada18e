"""The shipped models: every engine that can be made here passes their golden streams."""

from __future__ import annotations

import pytest

from engines.backends import find_backend
from engines.building.build import build_engine, models
from engines.card import WEIGHTS, card_path, read_checked
from engines.errors import EngineMismatch
from engines.golden import golden_path, read_golden, verify
from engines.opening import open_session
from tests.engines.test_build import _runnable

MODELS = models()


def test_models_are_shipped():
    assert "encoder" in MODELS


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("backend", "precision"), _runnable())
def test_engine_passes_its_golden_stream_or_is_refused(model, backend, precision, tmp_path):
    """float32 always passes; a coarser engine passes, or is refused by the tensor that it gets wrong and not kept."""
    try:
        built = build_engine(model, backend, precision, engines_dir=tmp_path)
    except EngineMismatch as refused:
        assert precision != "fp32"
        assert " is off by " in refused.what  # noqa: PT017
        assert not list(tmp_path.glob("*.engine"))
        return
    assert built.card.build.verified
    with open_session(model, backend, precision=precision, engines_dir=tmp_path) as session:
        golden = read_golden(golden_path(session.card), session.card)
        assert verify(session, golden, max_steps=50).passed


@pytest.mark.parametrize("model", MODELS)
def test_engine_for_four_gpus_is_built_without_one(model, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    record = build_engine(
        model, "tensorrt-rtx", "fp16", None, ("7.5", "8.6", "8.9", "12.0"), engines_dir=tmp_path
    ).card.build
    assert record.flags["targets"] == ["SM75", "SM86", "SM89", "SM120"]


def test_every_shipped_card_fits_its_file():
    for path in sorted(WEIGHTS.glob("*.onnx")):
        card, content = read_checked(card_path(path))
        assert card.build is None
        assert len(content) == path.stat().st_size


def test_backends_that_are_missing_say_what_to_install(monkeypatch):
    for name, attribute in (("openvino", "ov"), ("tensorrt", "trt"), ("tensorrt-rtx", "trt")):
        module = find_backend(name)
        monkeypatch.setattr(module, attribute, None)
        with pytest.raises(EngineMismatch, match=rf'pip install "voxcam\[{name}\]"'):
            module.version()
