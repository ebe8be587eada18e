"""The idle process: seeded, bounded, alive, and as GRID's people are."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion.idle import IDLE_STATE, LISTENING_LIMIT, SPEAKING_LIMIT, Idle, load_figures, run_idle
from engines.spec import MOTION_CHANNELS
from train.motion.idle import Clip, measure_motion

PITCH, YAW, ROLL = (MOTION_CHANNELS.index(n) for n in ("headPitch", "headYaw", "headRoll"))
BLINKS = [MOTION_CHANNELS.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]
LOOK = [MOTION_CHANNELS.index(n) for n in ("eyeLookX", "eyeLookY")]
MINUTE = 3000  # codes


def course(seed: int, minutes: float, speaks: bool = False, state: np.ndarray | None = None) -> np.ndarray:
    """(codes, 25) of silence, or of sentences of 3 s at four syllables a second with a pause each."""
    idle = Idle(seed)
    count = int(minutes * MINUTE)
    seconds = np.arange(count) * 0.02
    talk = ((seconds % 4.0) < 3.0).astype(float) if speaks else np.zeros(count)
    loud = 1e-4 + 0.1 * talk * np.clip(np.sin(2 * np.pi * 4.1 * seconds), 0, None) * (0.5 + 0.5 * np.sin(seconds))
    out = np.zeros((count, len(MOTION_CHANNELS)))
    run_idle(idle.init_state() if state is None else state, idle.constants, talk, loud, 0.15 * talk, out)
    return out


def as_clips(out: np.ndarray) -> list[Clip]:
    """The course as 3 s clips at 25 pictures/s, so that train/motion/idle.py's ruler can be laid on it."""
    pictures = out[::2]
    return [
        Clip(
            closure=part[:, BLINKS].mean(1),
            angles=np.degrees(part[:, [PITCH, YAW, ROLL]]),
            shift=part[:, -2:],
            gaze=np.degrees(part[:, LOOK]),
            brows=part[:, 11:14],
        )
        for part in pictures[: len(pictures) // 75 * 75].reshape(-1, 75, pictures.shape[1])
    ]


def test_a_seed_repeats_and_another_differs():
    assert np.array_equal(course(3, 0.5), course(3, 0.5))
    assert not np.array_equal(course(3, 0.5), course(4, 0.5))


def test_a_saved_state_goes_on_as_if_nothing_had_been():
    whole = course(5, 0.4)
    state = Idle(5).init_state()
    parts = [course(5, 0.15, state=state), course(5, 0.25, state=state.copy())]
    assert state.shape == (IDLE_STATE,)
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("speaks", [False, True])
def test_an_hour_stays_bounded_and_does_not_drift(speaks):
    out = course(11, 60, speaks)
    assert np.isfinite(out).all()
    limit = SPEAKING_LIMIT if speaks else LISTENING_LIMIT
    assert np.abs(out[:, [PITCH, YAW, ROLL]]).max() <= limit
    assert np.abs(out[:, -2:]).max() <= 0.05
    assert out[:, BLINKS].min() >= 0
    assert out[:, BLINKS].max() <= 1.0
    first, last = out[: 20 * MINUTE], out[-20 * MINUTE :]
    for channel in (PITCH, YAW, ROLL):
        assert abs(first[:, channel].mean() - last[:, channel].mean()) < 0.3 * out[:, channel].std()
        assert 0.7 < last[:, channel].std() / first[:, channel].std() < 1.4


def test_nothing_loops():
    """No lag from 2 s to two minutes at which the head does again what it did."""
    pitch = course(2, 10)[::5, PITCH]
    pitch = (pitch - pitch.mean()) / pitch.std()
    spectrum = np.abs(np.fft.rfft(pitch, 2 * len(pitch))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(pitch)] / np.arange(len(pitch), 0, -1)
    assert correlation[0] == pytest.approx(1, abs=0.01)
    assert np.abs(correlation[100:1200]).max() < 0.45  # breath alone gives a little


def test_the_mouth_keeps_its_gap():
    out = course(1, 10, speaks=True) + course(1, 10)
    names = ("jawOpen", "jawDrop", "mouthOpenSide", "mouthStretch", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight")
    assert np.abs(out[:, [MOTION_CHANNELS.index(n) for n in names]]).max() == 0
    parts = {n: out[:, MOTION_CHANNELS.index(n)] for n in MOTION_CHANNELS}
    gap = parts["mouthUpperUp"] + parts["mouthLowerDown"] + parts["mouthRollUpper"] + 0.76 * parts["mouthRollLower"]
    assert np.abs(gap).max() < 0.002


@pytest.mark.parametrize("speaks", [False, True])
def test_blinks_are_as_often_and_as_deep_as_grids(speaks):
    grid = load_figures()
    own = measure_motion(as_clips(np.concatenate([course(seed, 20, speaks) for seed in range(6)])))
    assert 0.8 < own["blinks_per_minute"] / grid["blinks_per_minute"] < 1.2
    assert 0.8 < own["blink_depth"] / grid["blink_depth"] < 1.2
    assert own["blink_close_s"] < own["blink_open_s"] + 0.03
    # The way up, 40 to 200 ms after the deepest picture, against GRID's above its own resting level.
    truth = np.array(grid["blink_course"])
    truth = (truth - truth[:2].mean()) / (truth.max() - truth[:2].mean())
    assert np.abs(np.array(own["blink_course"])[5:10] - truth[5:10]).max() < 0.12


@pytest.mark.parametrize("speaks", [False, True])
def test_every_seed_blinks_as_grids_people_do(speaks):
    """Ten minutes of each of twenty faces: rate and depth by GRID's ruler, .8 to 1.2 of GRID's."""
    figures = load_figures()
    rates, depths = [], []
    for seed in range(20):
        measured = measure_motion(as_clips(course(seed, 10, speaks)))
        rates.append(measured["blinks_per_minute"] / figures["blinks_per_minute"])
        depths.append(measured["blink_depth"] / figures["blink_depth"])
    assert 0.88 < np.mean(rates) < 1.12
    assert min(rates) > 0.8
    assert max(rates) < 1.2
    assert min(depths) > 0.8
    assert max(depths) < 1.2


def test_the_head_does_not_jump_when_somebody_starts_to_speak():
    """Steps of the head in the half second after a sentence begins are those of any other time in speech."""
    for seed in range(5):
        angles = np.degrees(course(seed, 10, speaks=True)[:, [PITCH, YAW, ROLL]])
        steps = np.abs(np.diff(angles, axis=0)).max(1)  # degrees a code
        beginning = np.arange(len(steps)) % 200 < 25
        assert steps.max() < 0.6
        assert np.quantile(steps[beginning], 0.99) < 1.5 * np.quantile(steps[~beginning], 0.99)


def test_a_muted_face_goes_on_living():
    """Mute feeds zeros: blinks, looks and the head go on in each of thirty minutes."""
    idle = Idle(2)
    out = np.zeros((30 * MINUTE, len(MOTION_CHANNELS)))
    still = np.zeros(len(out))
    run_idle(idle.init_state(), idle.constants, still, still, still, out)
    for minute in out.reshape(30, MINUTE, -1):
        assert minute[:, BLINKS].max(0).min() > 0.5
        assert np.ptp(minute[:, [PITCH, YAW]], axis=0).min() > 0.005
        assert np.ptp(minute[:, LOOK], axis=0).min() > 0.02


def test_a_short_clip_blinks_as_often_as_a_long_one():
    """Three seconds from the start, as GRID's clips are."""
    own = measure_motion(as_clips(np.concatenate([course(seed, 0.05) for seed in range(900)])))
    assert 0.8 < own["blinks_per_minute"] / load_figures()["blinks_per_minute"] < 1.2


def test_nobody_stares_at_who_comes():
    firsts = [int(np.argmax(course(seed, 0.1)[:, BLINKS[0]] > 0.4)) * 0.02 for seed in range(200)]
    assert max(firsts) < 4.3
    assert min(firsts) < 0.6
    assert 1.5 < np.median(firsts) < 3.0


def test_lids_shut_faster_than_they_open():
    lid = course(9, 5)[:, BLINKS[0]]
    peaks = [k for k in range(20, len(lid) - 20) if lid[k] > 0.8 and lid[k] == lid[k - 3 : k + 4].max() > lid[k - 1]]
    assert len(peaks) > 50
    assert np.mean([lid[k - 6] for k in peaks]) < 0.12  # 120 ms before: open
    assert np.mean([lid[k + 6] for k in peaks]) > 0.15  # 120 ms after: not yet


def test_the_head_goes_as_far_as_grids_in_three_seconds():
    grid = np.array(load_figures()["head_std_deg"])
    silent = np.array(measure_motion(as_clips(course(21, 30)))["head_std_deg"])
    spoken = np.array(measure_motion(as_clips(course(21, 30, speaks=True)))["head_std_deg"])
    assert ((silent / grid) > 0.45).all()
    assert ((silent / grid) < 1.0).all()  # GRID speaks half of the time
    assert ((spoken / grid) > 0.8).all()
    assert ((spoken / grid) < 1.3).all()


def test_eyes_stay_on_the_camera_while_the_head_moves():
    out = np.degrees(course(6, 30))
    in_the_room = out[:, LOOK] + out[:, [YAW, PITCH]]
    assert (np.hypot(*in_the_room.T) < 2.5).mean() > 0.9
    assert (np.hypot(*in_the_room.T) > 3.0).any()  # and yet they look aside sometimes
    assert np.corrcoef(out[:, LOOK[1]], out[:, PITCH])[0, 1] < -0.5


def test_stress_nods_and_lifts_brows():
    brow = MOTION_CHANNELS.index("browOuterUp")
    quiet, spoken = course(8, 10), course(8, 10, speaks=True)
    assert spoken[:, brow].max() > 1.5 * quiet[:, brow].max()
    speed = [np.abs(np.diff(out[:, PITCH])).mean() for out in (quiet, spoken)]
    assert speed[1] > 1.3 * speed[0]
