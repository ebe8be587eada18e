"""The trials behind numbers of the motion: what they judge, on courses whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.face.measure import canonical_face
from engines.face_points import INNER_LIPS
from tests.train.test_score_motion import take
from train.data.motion_labels import OPEN
from train.face.mouth_trials import PARTS, between_lips, parts_of
from train.motion.trials import judge, led, main, padded, try_length


def test_a_lead_gives_back_what_smoothing_took() -> None:
    """A slow sine through a mean of the last three codes comes a code late: half the change over two codes mends it."""
    course = np.sin(np.arange(200) / 8)[:, None]
    late = np.concatenate([course[:2], (course[2:] + course[1:-1] + course[:-2]) / 3])
    assert np.abs(late - course)[10:].max() > 0.1
    assert np.abs(led(late, 0.5) - course)[10:].max() < 0.025
    np.testing.assert_array_equal(led(late, 0.0), late)


def test_the_truth_is_judged_perfect() -> None:
    found = [take(0), take(1)]
    said = judge([np.repeat(each.truth, 2, 0) for each in found], found)
    assert "in words 1.000 | whole 1.000" in said
    assert "slope 1.000 | jitter 1.000" in said
    shut = [np.zeros((150, 14)) for _ in found]
    assert judge(shut, found).startswith("in words 0.000")


def test_parts_go_from_the_darkest_to_the_brightest() -> None:
    ramp = np.repeat(np.arange(100, dtype=np.float32)[:, None], 3, 1)
    parts = parts_of(np.random.default_rng(0).permutation(ramp))
    np.testing.assert_allclose(parts[:, 0], 100 * np.array(PARTS), atol=1)


def test_only_what_lies_between_the_lips_is_compared() -> None:
    points = canonical_face() * 100 + 300
    points[list(INNER_LIPS)[:11], 1] += 20
    picture = np.zeros((600, 600, 3), np.uint8)
    picture[: int(points[list(INNER_LIPS), 1].min())] = 255
    inside = between_lips(picture, points)
    assert len(inside) > 500
    assert inside.max() == 0


def test_short_clips_are_padded() -> None:
    assert padded(np.ones((148, 14)))[:, OPEN].tolist() == [1.0] * 150


def test_lead_asks_for_its_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["lead", "--data-root", "data", "--landmarks", "landmarks"])
    assert "lead takes --checkpoint and --calibration" in capsys.readouterr().err


def test_openings_that_go_with_the_length_are_told(tmp_path: Path) -> None:
    """Nine faces whose chins and openings go together by a power of 2: r 1, and nothing is left to be off by."""
    face, said, draw = canonical_face(), list[str](), np.random.default_rng(7)
    for number in range(9):
        share = 0.9 + 0.025 * number
        longer = face.copy()
        longer[152, 1] = face[1, 1] + share * (face[152, 1] - face[1, 1])
        points = np.repeat(longer[None], 40, 0)
        opening = 0.1 * share**2 * np.clip(np.sin(np.arange(40) / 4), 0, None)
        for lower in (14, 87, 317, 178, 402, 88, 318):
            points[:, lower, 1] += opening
        folder = tmp_path / "grid" / "train" / f"s{number}"
        folder.mkdir(parents=True)
        for clip in range(9):
            seen = points * 45 + [128, 128, 0] + draw.normal(0, 0.01, points.shape)
            np.save(folder / f"{clip}.npy", seen.astype(np.float32))
    try_length(tmp_path, said.append)
    row = next(line for line in said if line.startswith("jawOpen"))
    assert "r 1.00 | power 2.0" in row
    assert row.endswith("with the length 0.00")
