"""What several tests of training begin with."""

from __future__ import annotations

import pytest
import torch

from train.face.generator import SHAPE, SPEECH, Scales


@pytest.fixture(scope="module")
def scales() -> Scales:
    draw = torch.Generator().manual_seed(0)
    return Scales(
        code_scale=torch.full((SPEECH,), 0.05),
        shape_mean=torch.zeros(478 * 3),
        shape_basis=torch.randn(SHAPE, 478 * 3, generator=draw),
    )
