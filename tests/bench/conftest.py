"""The real engines on the shipped photo, opened once."""

from __future__ import annotations

import pytest

from bench.rig import Rig
from engines.card import WEIGHTS


@pytest.fixture(scope="session")
def rig() -> Rig:
    if not (WEIGHTS / "encoder.onnx").exists():
        pytest.skip("no shipped encoder yet")
    return Rig.open()
