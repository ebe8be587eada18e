"""The shaper under what no microphone gives: wild and broken codes, switches at any time, an hour without a break."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import StreamError
from engines.motion.arkit import arkit_weights, head_quaternion
from engines.motion.expression import LOOKS
from engines.shaper import HIGH, LOW, Shaper
from engines.spec import MOTION_CHANNELS, SPEC, SPEECH_CHANNELS

JAW, SIDE = MOTION_CHANNELS.index("jawOpen"), MOTION_CHANNELS.index("mouthOpenSide")
NAMES = ("speech", "phone_logits", "presence", "emotion_logits", "rms", "snr_db")
wild = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e4, -1e4, 1e30, -1e30]), st.floats(-50, 50))


def course(seed: int, count: int, sizes: dict[str, float]) -> dict[str, np.ndarray]:
    """`count` random rows, each array as large as `sizes` says; presence may leave 0..1."""
    random = np.random.default_rng(seed)
    shapes = {
        "speech": (count, len(SPEECH_CHANNELS)),
        "phone_logits": (count, len(SPEC.phones)),
        "presence": (count,),
        "emotion_logits": (count, 7),
        "rms": (count,),
        "snr_db": (count,),
    }
    return {name: sizes[name] * random.standard_normal(shape) for name, shape in shapes.items()}


def is_a_face(out: np.ndarray) -> bool:
    within = (out >= LOW.astype(np.float32) - 1e-6).all() and (out <= HIGH.astype(np.float32) + 1e-6).all()
    return bool(np.isfinite(out).all() and within and (out[:, SIDE] <= out[:, JAW]).all())


@given(
    seed=st.integers(0, 2**31 - 1),
    sizes=st.fixed_dictionaries({name: wild for name in NAMES}),
    look=st.sampled_from(["auto", "off", *(f"{look}:1" for look in LOOKS)]),
    lookahead_ms=st.sampled_from(SPEC.lookaheads_ms),
)
@settings(max_examples=60, deadline=None)
def test_wild_codes_make_faces_and_leave_a_sound_state(seed, sizes, look, lookahead_ms):
    shaper = Shaper(lookahead_ms=lookahead_ms, seed=seed, emotion=look)
    out, state = shaper.run(**course(seed, 60, sizes))
    assert is_a_face(out)
    assert all(np.isfinite(array).all() for array in state.arrays.values())
    weights = arkit_weights(out)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert (weights <= 1).all()
    assert np.linalg.norm(head_quaternion(out[-1])) == pytest.approx(1)
    calm = {name: array * 0 for name, array in course(0, 400, dict.fromkeys(NAMES, 1.0)).items()}
    after, _ = shaper.run(**calm, state=state)
    assert is_a_face(after)
    assert (after[-50:, JAW] == 0).all()  # whatever was heard, silence shuts the mouth


@given(
    name=st.sampled_from(NAMES),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    at=st.integers(0, 39),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_a_broken_code_is_refused_and_what_came_before_stands(name, value, at, seed):
    shaper = Shaper(seed=seed)
    sizes = {"speech": 0.1, "phone_logits": 3.0, "presence": 0.5, "emotion_logits": 1.0, "rms": 0.1, "snr_db": 10.0}
    good = course(seed, 40, sizes)
    bad = {each: array.copy() for each, array in good.items()}
    bad[name].reshape(40, -1)[at, -1] = value
    state, sound = shaper.init_state(), shaper.init_state()
    with pytest.raises(StreamError, match="not numbers"):
        shaper.run(**bad, state=state)
    if at:
        shaper.run(**{each: array[:at] for each, array in good.items()}, state=sound)
    assert state.equal(sound)


@given(st.lists(st.tuples(st.integers(1, 80), st.booleans(), st.sampled_from(["auto", "off", "sad:0.8", "smile:1"]))))
@settings(max_examples=25, deadline=None)
def test_switches_at_any_time_never_jump(switches):
    """Idle life and looks switched while a steady voice speaks: no channel moves faster than a blink."""
    shaper = Shaper(seed=3, emotion="off")
    state, made = shaper.init_state(), []
    for count, idle, look in switches:
        shaper.idle, shaper.smile = idle, 1.0 + 0.5 * idle
        shaper.choose_emotion(look)
        steady = {name: np.zeros_like(array) for name, array in course(0, count, dict.fromkeys(NAMES, 1.0)).items()}
        steady["presence"] += 1.0
        steady["speech"][:, JAW] = 0.1
        part, state = shaper.run(**steady, state=state)
        made.append(part)
    if made:
        out = np.concatenate(made)[5:]
        assert is_a_face(out)
        lengths = [i for i, name in enumerate(MOTION_CHANNELS) if name.startswith(("mouth", "jaw", "brow", "head"))]
        if len(out) > 1:
            assert np.abs(np.diff(out[:, lengths], axis=0)).max() < 0.03


def test_an_hour_of_talk_and_noise_does_not_drift():
    """Any ten minutes are as any other: the same bounds and spread; the same means in both half hours.

    Means of ten minutes would differ by chance: a head sits in one place for 13 s.
    """
    shaper, state, parts = Shaper(seed=9), None, []
    sizes = {"speech": 0.08, "phone_logits": 3.0, "presence": 0.0, "emotion_logits": 1.5, "rms": 0.05, "snr_db": 10.0}
    for part in range(6):
        heard = course(part, 30_000, sizes)
        seconds = np.arange(30_000) * 0.02
        heard["presence"] = ((seconds % 7) < 4).astype(float)
        heard["rms"] = np.abs(heard["rms"])
        out, state = shaper.run(**heard, state=state)
        assert is_a_face(out)
        parts.append(out)
    means = np.array([part.mean(0) for part in parts])
    spread = np.array([part.std(0) for part in parts])
    assert (np.abs(means[3:].mean(0) - means[:3].mean(0)) < 0.25 * spread.mean(0) + 1e-4).all()
    moves = spread[0] > 1e-4
    assert moves.sum() > 20
    assert (np.abs(spread[-1][moves] / spread[0][moves] - 1) < 0.35).all()
    assert all(np.isfinite(array).all() for array in state.arrays.values())
