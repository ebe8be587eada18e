"""Tiny models on disk, once a test session, and an engine cache of one test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engines.tiny_models import tiny_encoder, tiny_generator, write_model


@pytest.fixture(scope="session")
def _models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, "encoder", tiny_encoder())
    write_model(folder, "generator", tiny_generator())
    return folder


@pytest.fixture
def models(_models, tmp_path) -> Path:
    """A folder with encoder and generator, the test's own to damage."""
    return Path(shutil.copytree(_models, tmp_path / "models"))
