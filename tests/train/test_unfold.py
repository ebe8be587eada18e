"""What is learned of folds holds for people who were left out, and only where there is something to learn."""

from __future__ import annotations

import numpy as np

from engines.face.unfold import FACTORS, bands
from train.face.unfold import SIZE_PX, Examples, fit, left_out

TRUTH = np.array([0.05, -0.6, -0.4, 0.2, 0.0], np.float32)


def examples(noise: float, truth: np.ndarray = TRUTH) -> Examples:
    """Twelve people whose light changes by the same factors, and what no factor tells."""
    random = np.random.default_rng(1)
    light = random.normal(0, 0.1, (12, *SIZE_PX)).astype(np.float32)
    factors = np.stack([bands(part, 0.06) for part in light])
    wanted = np.einsum("f,nfhw->nhw", truth, factors) + noise * random.normal(0, 1, light.shape)
    weight = np.ones_like(light)
    weight[:, :, : SIZE_PX[1] // 8] = 0
    return Examples(factors, wanted.astype(np.float32), weight, np.array([f"p{k:02}" for k in range(12)]))


def test_weights_are_found_where_light_is_seen() -> None:
    given = examples(0.0)
    found = fit(given, np.ones(12, bool))
    seen = found[:, 40:-40, 60:-40]
    for k in (0, 1, 2):
        assert abs(np.median(seen[k]) / TRUTH[k] - 1) < 0.15  # the ridge takes a little
    assert found.shape == (FACTORS, *SIZE_PX)
    assert np.isfinite(found).all()


def test_people_left_out_are_judged_honestly() -> None:
    assert left_out(examples(0.0))["left_of_the_variance"] < 0.05
    nothing = left_out(examples(0.1, 0 * TRUTH))
    assert nothing["left_of_the_variance"] > 0.95  # nothing is to be learned of noise
    assert nothing["people"] == 12
