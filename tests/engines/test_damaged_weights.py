"""Shipped arrays that are cut short or are another model's are refused in one way, whoever loads them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.card import WEIGHTS, file_sha256, read_arrays
from engines.drawing.geometry import load_geometry
from engines.errors import EngineMismatch
from engines.face.likeness import likeness_model
from engines.face.tooth_rows import _learned
from engines.face.unfold import unfold_weights
from engines.face.unsmile import rest_model

LOADERS = [
    ("geometry", load_geometry),
    ("teeth", _learned),
    ("likeness", likeness_model),
    ("unsmile", rest_model),
    ("unfold", unfold_weights),
]


def ship(folder: Path, name: str, content: bytes) -> None:
    """NAME.npz with `content`, beside the shipped card that carries its sha256; the geometry has none."""
    (folder / f"{name}.npz").write_bytes(content)
    if name == "geometry":
        return
    card = json.loads((WEIGHTS / f"{name}.card.json").read_text())
    (folder / f"{name}.card.json").write_text(json.dumps({**card, "sha256": file_sha256(content)}))


def half(name: str) -> bytes:
    content = (WEIGHTS / f"{name}.npz").read_bytes()
    return content[: len(content) // 2]


def flipped(name: str) -> bytes:
    content = bytearray((WEIGHTS / f"{name}.npz").read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def empty(_name: str) -> bytes:
    return b""


def without_end(name: str) -> bytes:
    return (WEIGHTS / f"{name}.npz").read_bytes()[:-40]


def foreign(_name: str) -> bytes:
    file = io.BytesIO()
    np.savez(file, something=np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize("damage", [half, flipped, empty, without_end, foreign])
@pytest.mark.parametrize(("name", "loader"), LOADERS)
def test_damaged_arrays_are_refused(
    name: str, loader: Any, damage: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the loader itself: its card's hash is that of the damaged file."""
    weights = tmp_path / "weights"
    weights.mkdir()
    ship(weights, name, damage(name))
    if name != "geometry":
        loader.cache_clear()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("engines.card.WEIGHTS", weights)
        elsewhere.setattr("engines.drawing.geometry.files", lambda _: tmp_path)
        with pytest.raises(EngineMismatch, match=rf"weights/{name}\.npz is damaged"):
            loader()
    loader()  # a failure isn't kept


def test_arrays_that_are_not_their_cards_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(tmp_path, "teeth", half("teeth"))
    (tmp_path / "teeth.npz").write_bytes(flipped("teeth"))
    monkeypatch.setattr("engines.card.WEIGHTS", tmp_path)
    with pytest.raises(EngineMismatch, match=r"teeth\.npz is not the file its card describes"):
        read_arrays("teeth", "cover")


def test_unfold_weights_of_another_shape_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    np.savez(file, weights=np.zeros((2, 3, 3), np.float32))
    ship(tmp_path, "unfold", file.getvalue())
    monkeypatch.setattr("engines.card.WEIGHTS", tmp_path)
    unfold_weights.cache_clear()
    with pytest.raises(EngineMismatch, match=r"unfold\.npz is damaged \(shape"):
        unfold_weights()
