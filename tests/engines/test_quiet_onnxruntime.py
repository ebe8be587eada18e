"""ONNX Runtime's telemetry is off on every system."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from engines.backends import quiet_onnxruntime


def test_it_is_told_as_well_for_windows_heeds_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    library = ModuleType("onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    place = str(Path(quiet_onnxruntime.__file__))
    assert runpy.run_path(place)["ort"] is library  # one that has no such call
    monkeypatch.setattr(library, "disable_telemetry_events", lambda: calls.append("off"), raising=False)
    runpy.run_path(place)
    assert calls == ["off"]


def test_the_one_at_hand_has_the_call() -> None:
    assert callable(quiet_onnxruntime.ort.disable_telemetry_events)
