"""What a clip of somebody's own speech teaches of how far the mouth goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engines.errors import InputError
from engines.motion.reach import LEAST, MOST, MOUTH, OPEN, TYPICAL_REACH, apart, fit_reach, learn_reach
from engines.spec import SPEECH_CHANNELS

TIMES = (np.arange(250) + 0.5) / 25  # ten seconds of pictures


def speech(seed: int = 0, codes: int = 500) -> np.ndarray:
    """Codes (500, 14) whose mouth moves a few times a second and rests in between; brows still."""
    random = np.random.default_rng(seed)
    knots = random.normal(0, 0.05, (codes // 10 + 2, MOUTH))
    places = np.arange(codes) / 10
    moving = np.stack([np.interp(places, np.arange(len(knots)), column) for column in knots.T], 1)
    moving[100:150] = 0
    return np.hstack([moving, np.zeros((codes, len(SPEECH_CHANNELS) - MOUTH))])


def measured(codes: np.ndarray, factors: np.ndarray, late_s: float = 0.0, noise: float = 0.0) -> np.ndarray:
    """What a landmarker reads, (250, 14): lengths of a face, not motion from its rest."""
    middles = (np.arange(len(codes)) + 0.5) / 50
    moved = np.stack([np.interp(TIMES - late_s, middles, column) for column in codes.T], 1)
    moved[:, :MOUTH] *= factors
    return moved + 0.7 + np.random.default_rng(1).normal(0, noise, moved.shape)


def test_factors_come_back() -> None:
    own = np.linspace(0.5, 1.6, MOUTH)
    learned = learn_reach(speech(), measured(speech(), own), TIMES)
    # Drawn towards most people's a little.
    assert learned.factors[OPEN] == pytest.approx(own[OPEN], rel=0.1)
    assert np.corrcoef(learned.factors, own)[0, 1] > 0.95
    assert learned.helps
    assert learned.apart < 0.5 * learned.apart_typical
    assert learned.r > 0.99
    assert learned.spoken_s == pytest.approx(9.0, abs=0.2)


@pytest.mark.parametrize("late_s", [-0.2, 0.1, 0.26])
def test_pictures_beside_their_sound_are_brought_to_it(late_s: float) -> None:
    own = np.full(MOUTH, 0.6)
    learned = learn_reach(speech(), measured(speech(), own, late_s, noise=0.003), TIMES)
    assert learned.offset_ms == pytest.approx(1e3 * late_s, abs=20)
    assert learned.factors[OPEN] == pytest.approx(0.6, rel=0.1)


def test_pictures_without_a_face_are_left_out() -> None:
    seen = measured(speech(), np.full(MOUTH, 1.4))
    seen[40:90] = np.nan
    learned = learn_reach(speech(), seen, TIMES)
    assert learned.factors[OPEN] == pytest.approx(1.4, rel=0.05)


def test_an_opening_that_sound_tells_badly_is_not_made_small() -> None:
    """Least squares would, where a part of what is seen is noise to them: half of the way back."""
    seen = measured(speech(), np.ones(MOUTH), noise=0.03)
    heard = speech()[::2, :MOUTH]
    factors = fit_reach(heard, seen[:, :MOUTH])
    plain = fit_reach(heard, measured(speech(), np.ones(MOUTH))[:, :MOUTH])
    assert plain[OPEN] == pytest.approx(1, rel=0.02)
    share = seen[:, OPEN].std() / heard[:, OPEN].std()
    assert share > 1.1
    assert factors[OPEN] == pytest.approx(share**0.5, rel=0.05)


def test_another_persons_clip_is_refused() -> None:
    with pytest.raises(InputError, match="does not move with its sound"):
        learn_reach(speech(0), measured(speech(5), np.ones(MOUTH)), TIMES)


def test_silence_is_refused() -> None:
    with pytest.raises(InputError, match=r"holds 0\.0 s of speech"):
        learn_reach(np.zeros((500, 14)), measured(speech(), np.ones(MOUTH)), TIMES)


def test_no_face_is_refused() -> None:
    with pytest.raises(InputError, match="no face"):
        learn_reach(speech(), np.full((250, 14), np.nan), TIMES)


def test_a_still_picture_is_refused() -> None:
    with pytest.raises(InputError, match="does not move with its sound"):
        learn_reach(speech(), np.full((250, 14), 0.7), TIMES)


@given(
    arrays(float, (40, MOUTH), elements=st.floats(-0.5, 0.5)),
    arrays(float, (40, MOUTH), elements=st.floats(-0.5, 0.5)),
)
def test_factors_are_always_such_as_a_face_can_have(heard: np.ndarray, seen: np.ndarray) -> None:
    factors = fit_reach(heard, seen)
    assert factors.shape == (MOUTH,)
    assert (factors >= LEAST).all()
    assert (factors <= MOST).all()


def test_what_is_the_same_is_nowhere_apart() -> None:
    course = speech()[:, :MOUTH]
    assert apart(course, course + 3) == pytest.approx(0, abs=1e-12)
    assert apart(np.zeros_like(course), course) == pytest.approx(1)


def test_most_people_open_as_wide_as_the_encoder_says() -> None:
    assert TYPICAL_REACH.shape == (MOUTH,)
    assert TYPICAL_REACH[OPEN] == TYPICAL_REACH[SPEECH_CHANNELS.index("mouthOpenSide")] == 1.0
