"""Padding as TensorFlow does it; the converted networks themselves are tested in tests/engines/test_landmarker.py."""

from __future__ import annotations

import pytest

pytest.importorskip("tflite", reason="the train extra is not installed")

from train.face.convert_mediapipe import same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (192, 3, 1, (1, 1)),
        (192, 3, 2, (0, 1)),  # an even size and stride 2: the odd pixel goes behind
        (191, 3, 2, (1, 1)),
        (128, 5, 2, (1, 2)),
        (8, 2, 2, (0, 0)),
        (1, 3, 2, (1, 1)),
    ],
)
def test_same_padding(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected
    padded = size + sum(expected)
    assert (padded - kernel) // stride + 1 == -(-size // stride)
