"""The idle process: seeded, bounded, alive, and as GRID's people are."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from engines.errors import EngineMismatch
from engines.motion.idle import (
    AWAY,
    BLINK_LAG,
    BLINK_SIDE,
    BREATH_BOW,
    BREATH_LIFT,
    C_FOLLOW,
    C_PITCH,
    C_SHIFT_Y,
    FIGURES,
    GAZE_X,
    HEAD_X,
    HEAD_Y,
    IDLE_STATE,
    LID_UP,
    LISTENING_LIMIT,
    SHIFT_LIMIT,
    SPEAKING_LIMIT,
    Idle,
    _lid,
    load_figures,
    run_idle,
    step_idle,
)
from engines.spec import MOTION_CHANNELS
from tests.engines.idle_courses import BLINKS, LOOK, MINUTE, PITCH, ROLL, YAW, course, spoken_pitch, voice

STRETCH, SMILE_LEFT, SMILE_RIGHT = (
    MOTION_CHANNELS.index(n) for n in ("mouthStretch", "mouthSmileLeft", "mouthSmileRight")
)


def deviations(out: np.ndarray) -> np.ndarray:
    """Of pitch, yaw, roll within 3 s, degrees, as shares of GRID's."""
    angles = np.degrees(out[: len(out) // 150 * 150, [PITCH, YAW, ROLL]])
    return np.sqrt(angles.reshape(-1, 150, 3).var(1).mean(0)) / load_figures()["head_std_deg"]


def blink_times(out: np.ndarray) -> np.ndarray:
    """When the left lid passes half-way down, s."""
    down = out[:, BLINKS[0]] > 0.5
    return np.flatnonzero(down[1:] & ~down[:-1]) * 0.02


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
    assert np.abs(out[:, [HEAD_X, HEAD_Y]]).max() <= SHIFT_LIMIT
    assert out[:, BLINKS].min() >= -LID_UP
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
    names = ("jawOpen", "jawDrop", "mouthOpenSide", "mouthFunnel")
    assert np.abs(out[:, [MOTION_CHANNELS.index(n) for n in names]]).max() == 0
    parts = {n: out[:, MOTION_CHANNELS.index(n)] for n in MOTION_CHANNELS}
    gap = parts["mouthUpperUp"] + parts["mouthLowerDown"] + parts["mouthRollUpper"] + 0.76 * parts["mouthRollLower"]
    assert np.abs(gap).max() < 0.002


def test_a_silent_mouth_is_no_statue():
    """Within 12 s of silence corners and width drift, each corner a little by itself, and the lips press together."""
    for seed in range(10):
        out = course(seed, 0.2)
        left, right = out[:, SMILE_LEFT], out[:, SMILE_RIGHT]
        assert 0.0008 < left.std() < 0.004
        assert 0.0012 < out[:, STRETCH].std() < 0.006
        assert 0.0004 < (left - right).std() < 0.004
        pressed = np.flatnonzero(out[:, MOTION_CHANNELS.index("mouthRollUpper")] > 0)
        assert 3 <= pressed[0] * 0.02 < 8.1
    long = course(3, 60)
    assert long[:, SMILE_LEFT].std() == pytest.approx(0.002, rel=0.1)
    assert long[:, STRETCH].std() == pytest.approx(0.003, rel=0.1)
    assert np.abs(np.diff(long[:, [STRETCH, SMILE_LEFT]], axis=0)).max() < 0.001


def test_the_head_does_not_jump_when_somebody_starts_to_speak():
    """Steps of the head in the half second after a sentence begins are those of any other time in speech."""
    for seed in range(5):
        angles = np.degrees(course(seed, 10, speaks=True)[:, [PITCH, YAW, ROLL]])
        steps = np.abs(np.diff(angles, axis=0)).max(1)  # degrees a code
        beginning = np.arange(len(steps)) % 200 < 25
        assert (
            steps.max() < 0.9
        )  # GRID's nine at their quickest: .37 to 2.1, the median .8; the chin rises with a vowel
        assert np.quantile(steps[beginning], 0.99) < 1.5 * np.quantile(steps[~beginning], 0.99)


def test_a_muted_face_goes_on_living():
    """Mute feeds zeros: blinks, looks and the head go on in each of thirty minutes."""
    idle = Idle(2)
    out = np.zeros((30 * MINUTE, len(MOTION_CHANNELS)))
    still = np.zeros(len(out))
    run_idle(idle.init_state(), idle.constants, still, still, still, 1.0, out)
    for minute in out.reshape(30, MINUTE, -1):
        assert minute[:, BLINKS].max(0).min() > 0.5
        assert np.ptp(minute[:, [PITCH, YAW]], axis=0).min() > 0.005
        assert np.ptp(minute[:, LOOK], axis=0).min() > 0.02


def test_blinks_do_not_flutter():
    """A double may come, and no third blink on its heels; and yet doubles are as frequent as GRID's."""
    gaps, chains = [], []
    for seed in range(12):
        times = blink_times(course(seed, 10, speaks=seed % 2 == 0))
        assert (times[3:] - times[:-3]).min() > 1.4
        apart = np.diff(times)
        gaps.extend(apart)
        chains.extend((apart[1:] < 0.58) & (apart[:-1] < 0.58))  # a lid's way down differs by a code
    assert 0.12 < (np.array(gaps) < 0.6).mean() < 0.2
    assert not any(chains)


def test_lids_do_not_jump_open_before_a_double():
    """A double's second begins on the first's way up: no code opens lids that are nearly open by more than it does."""
    seconds = 0
    for seed in range(6):
        idle, state = Idle(seed), Idle(seed).init_state()
        lids = np.zeros((5 * MINUTE, 2))
        for lid in lids:
            step_idle(state, idle.constants, 0.0, 0.0, 0.0, 1.0, np.zeros(len(MOTION_CHANNELS)))
            lid[:] = _lid(state, 0.0), _lid(state, state[BLINK_LAG]) * state[BLINK_SIDE]
        before, opens = lids[:-1], lids[:-1] - lids[1:]
        assert opens[before < 0.12].max() < 0.03  # a lone blink's way up: .025 a code
        seconds += ((before > 0.03) & (before < 0.12) & (opens < -0.03)).any(1).sum()
    assert seconds > 10


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


def test_the_median_head_goes_as_far_as_grids_in_three_seconds():
    silent, spoken = (np.median([deviations(course(n, 2, speaks)) for n in range(31)], 0) for speaks in (False, True))
    assert (silent > 0.45).all()
    assert (silent < 1.0).all()  # GRID speaks half of the time
    assert (spoken > 0.8).all()
    assert (spoken < 1.3).all()


def test_people_differ_as_grids_do():
    """GRID's: pitch .41 to 1.77 degrees, yaw .18 to .77, roll .13 to .76, shift .007 to .040 eye distances.

    Not quite as far: who moves least looks frozen on a photo, and who moves most dizzy.
    """
    heads = np.array([deviations(course(seed, 3, speaks=True)) for seed in range(30)])
    spread = heads.max(0) / heads.min(0)
    assert (spread > 2.2).all()
    assert (spread < 7).all()
    assert (heads.min(0) > 0.25).all()
    assert (heads.max(0) < 2.6).all()
    assert np.corrcoef(heads[:, 0], heads[:, 1])[0, 1] > 0.3  # who nods much turns much


def test_nods_go_up_as_often_as_down():
    """Mean of the pitch's change after a sentence's first, loud onset; GRID's people: -.17 to .26 degrees."""
    changes = []
    for seed in range(12):
        pitch = spoken_pitch(seed, degrees=0).reshape(-1, 200)  # a sentence each row
        changes.append((pitch[1:, 5:12].mean(1) - pitch[1:, :3].mean(1)).mean())
    assert abs(np.mean(changes)) < 0.07


def test_energy_moves_the_head_further_within_its_limits():
    calm, lively, dull = (deviations(course(7, 20, speaks=True, energy=e)) for e in (1.0, 1.6, 0.7))
    assert lively[0] / calm[0] > 1.2
    assert (lively / calm > 1.05).all()
    assert (lively[1:] / calm[1:] < 1.3).all(), "an actor's nods grow with his mood, his turns hardly"
    assert dull[0] / calm[0] < 0.9
    assert (dull / calm < 1.0).all()
    angles = course(7, 20, speaks=True, energy=1.6)[:, [PITCH, YAW, ROLL]]
    assert np.abs(angles).max() <= SPEAKING_LIMIT


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


def test_brows_heed_the_voice_and_not_the_lips():
    """GRID's inner brows have nothing to do with the opening (r .02). They rise, and now and then are drawn down."""
    inner, outer, down = (MOTION_CHANNELS.index(n) for n in ("browInnerUp", "browOuterUp", "browDown"))
    correlations, ups, downs = [], 0, 0
    for seed in range(12):
        idle = Idle(seed)
        idle.constants[C_FOLLOW] = 0.0  # eyes that meet a chin lift brows by a hair
        talk, rms, _ = voice(5 * MINUTE)
        seconds = np.arange(len(talk)) * 0.02
        vowel = talk * (seconds % 1.0 < 0.4)  # one a second
        rms, opening = 1e-4 + 0.1 * vowel, 0.3 * np.convolve(vowel, np.ones(5) / 5)[: len(vowel)]
        shut, apart = np.zeros((2, len(talk), len(MOTION_CHANNELS)))
        run_idle(idle.init_state(), idle.constants, talk, rms, np.zeros(len(talk)), 1.0, shut)
        run_idle(idle.init_state(), idle.constants, talk, rms, opening, 1.0, apart)
        assert np.abs(shut[:, outer] - apart[:, outer]).max() < 0.003
        correlations.append(np.corrcoef(apart[:, inner], opening)[0, 1])
        ups += (np.diff((apart[:, outer] > 0.01).astype(int)) > 0).sum()
        downs += (np.diff((apart[:, down] > 0.002).astype(int)) > 0).sum()
    assert abs(np.mean(correlations)) < 0.1
    assert 0.05 < downs / ups < 0.4


def glances(outs: list[np.ndarray]) -> tuple[float, list[np.ndarray]]:
    """Share of codes whose look is more than 2.5 degrees off the lens, and for each course where those begin."""
    rooms = [np.degrees(out[:, LOOK] + out[:, [YAW, PITCH]]) for out in outs]
    off = [np.hypot(*room.T) > 2.5 for room in rooms]
    return float(np.mean(off)), [np.flatnonzero(away[1:] & ~away[:-1]) + 1 for away in off]


def test_eyes_look_away_at_times_and_mostly_as_a_phrase_begins():
    """Half as much as people who face each other do; never from one side to the other, which would look shifty."""
    silent, spoken = ([course(seed, 5, speaks) for seed in range(12)] for speaks in (False, True))
    assert 0.04 < glances(silent)[0] < 0.10
    share, begins = glances(spoken)
    assert 0.09 < share < 0.16
    first_half_second = np.concatenate(begins) % 200 < 25  # an eighth of the time, of voice()'s sentences
    assert first_half_second.mean() > 0.3
    assert np.mean([len(begin) == 0 for begin in glances([out[:400] for out in spoken])[1]]) < 0.6, "8 s without any"


def test_glances_are_no_flicker():
    idle, state = Idle(4), Idle(4).init_state()
    away, sides = np.zeros(20 * MINUTE), np.zeros(20 * MINUTE)
    for k in range(len(away)):
        step_idle(state, idle.constants, float(k % 200 < 150), 0.01, 0.0, 1.0, np.zeros(len(MOTION_CHANNELS)))
        away[k], sides[k] = state[AWAY], np.sign(state[GAZE_X])
    both = (away[1:] > 0) & (away[:-1] > 0)
    assert (sides[1:][both] == sides[:-1][both]).all()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], away, [0]])))
    starts, ends = edges[::2], edges[1::2]
    assert len(starts) > 40
    assert (ends - starts)[:-1].min() * 0.02 > 0.45
    assert (starts[1:] - ends[:-1]).min() * 0.02 > 1.5


def test_a_short_clip_is_as_lively_as_a_long_one():
    """Eight seconds from the start, at which the head is the photo's, against what comes later."""
    heads = [np.degrees(course(seed, 1.2, speaks=True)[:, [PITCH, YAW, ROLL]]) for seed in range(80)]
    assert max(np.abs(head[0]).max() for head in heads) < 0.15
    silent = [np.degrees(course(seed, 0.02)[:, [PITCH, YAW, ROLL]]) for seed in range(80)]
    assert max(np.abs(np.diff(head, axis=0)).max() for head in silent) < 0.25, "the first posture is no jump"
    within = np.array([head.reshape(-1, 150, 3).std(1) for head in heads])  # three seconds
    early, late = (np.median(part.mean(1), 0) for part in (within[:, :3], within[:, 3:]))
    assert (early / late > 0.86).all()


def breath(minutes: float, speaks: bool) -> np.ndarray:
    """(codes, 26) of somebody whose head does nothing but breathe (and nod, if he speaks)."""
    idle = Idle(5)
    idle.constants[C_PITCH : C_SHIFT_Y + 1] = idle.constants[C_FOLLOW] = 0.0
    count = int(minutes * MINUTE)
    heard = voice(count) if speaks else (np.zeros(count), np.full(count, 1e-4), np.zeros(count))
    out = np.zeros((count, len(MOTION_CHANNELS)))
    run_idle(idle.init_state(), idle.constants, *heard, 1.0, out)
    return out


def test_shoulders_breathe_and_the_nose_stays():
    out = breath(10, False)
    chest = -out[:, HEAD_Y] / BREATH_LIFT
    assert chest[0] < 0.02, "a stream begins with the photo's shoulders"
    assert chest.max() == pytest.approx(1, abs=0.05)
    assert out[:, PITCH] == pytest.approx(-BREATH_BOW * chest, abs=2e-4)
    intakes = np.flatnonzero((chest[1:] > 0.5) & (chest[:-1] <= 0.5))
    assert 11 < len(intakes) / 10 < 17
    assert 0.3 < (np.diff(chest) > 0).mean() < 0.45, "in faster than out"


def test_breath_is_taken_in_pauses():
    chest = -breath(10, True)[:, HEAD_Y].reshape(-1, 200) / BREATH_LIFT  # a sentence of 3 s and its pause each row
    assert (chest[1:, 199] - chest[1:, 155]).mean() > 0.3
    assert (chest[1:, 149] - chest[1:, 20]).mean() < -0.3
    assert np.diff(chest).max() < 0.08, "an intake takes .4 s"


@pytest.mark.parametrize(("speech_s", "pause_s"), [(3.0, 1.0), (1.2, 0.5), (0.8, 0.2)])
def test_intakes_come_in_pauses_and_not_in_each(speech_s: float, pause_s: float):
    """Also after a second's pause, in which the breath begins to go out as in silence; and nobody pants."""
    idle = Idle(5)
    idle.constants[C_PITCH : C_SHIFT_Y + 1] = idle.constants[C_FOLLOW] = 0.0
    count = 5 * MINUTE
    speaks = (np.arange(count) * 0.02) % (speech_s + pause_s) < speech_s
    out = np.zeros((count, len(MOTION_CHANNELS)))
    run_idle(idle.init_state(), idle.constants, speaks * 1.0, np.where(speaks, 0.1, 1e-4), speaks * 0.1, 1.0, out)
    rises = np.diff(-out[:, HEAD_Y]) / BREATH_LIFT > 0.004
    begins = np.flatnonzero(rises[1:] & ~rises[:-1]) + 1
    assert 10 < len(begins) / 5 < 25
    assert (speaks[begins] & speaks[begins - 8]).mean() < 0.1


def test_no_press_of_the_lips_is_another_ones_copy():
    out = course(3, 20)
    upper = out[:, MOTION_CHANNELS.index("mouthRollUpper")]
    edges = np.flatnonzero(np.diff((upper > 1e-6).astype(int)))
    presses = [(upper[a:b].max(), (b - a) * 0.02) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    depths, lengths = np.array(presses).T
    assert len(presses) > 60
    assert depths.min() < 0.006
    assert depths.max() > 0.012
    assert depths.max() < 0.0141
    assert lengths.min() < 0.75
    assert 1.1 < lengths.max() < 1.35


def test_lids_follow_eyes_that_look_far_up():
    """Or the white would show below the iris. A glance in the call leaves them at rest, as GRID's are measured."""
    out = np.concatenate([course(seed, 10, speaks=True, energy=1.6) for seed in range(6)])
    lids, up = out[:, BLINKS].mean(1), np.degrees(out[:, LOOK[1]])
    assert (up > 5).any()
    assert lids[up > 5].min() < -0.05
    assert lids[(up > 0) & (up < 2.4)].min() >= 0


def test_lids_follow_eyes_that_look_down():
    """Or the eyes would stare over what they look at. Open ones do not sink for what hardly lies lower."""
    out = np.concatenate([course(seed, 10, speaks=True, energy=1.6) for seed in range(6)])
    lids, down = out[:, BLINKS].min(1), -np.degrees(out[:, LOOK[1]])
    assert (down > 5).any()
    assert lids[down > 5].min() > 0.08
    assert np.median(lids[(down > 5) & (lids < 0.5)]) < 0.25
    assert np.median(lids[np.abs(down) < 0.5]) < 0.02


def test_heads_settle_anew():
    """Over a minute a head goes two and a half times as far from its place as within three seconds, and slowly."""
    heads = np.array([course(seed, 3, speaks=seed % 2 == 0)[:, [HEAD_X, HEAD_Y]] for seed in range(20)])
    within = heads.reshape(20, -1, 150, 2).std(2).mean(1)  # three seconds
    assert 0.005 < np.median(within) < 0.012
    assert 0.018 < np.median(heads.std(1)) < 0.035
    assert np.abs(heads[:, :200]).max() < 0.055, "the first seat is the photo's"
    assert np.abs(np.diff(heads, axis=1)).max() < 0.006  # an eye distance in three seconds


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("value", [None, "many", -1, math.nan, [[1.0]], []])
def test_damaged_figures_say_so(name, value, monkeypatch, tmp_path):
    whole = load_figures()
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr("engines.motion.idle.files", lambda package: tmp_path)
    for damaged in ({**whole, name: value}, {key: whole[key] for key in whole if key != name}, [whole], "", None):
        (tmp_path / "weights" / "idle.json").write_text(json.dumps(damaged))
        with pytest.raises(EngineMismatch, match=r"idle\.json is damaged"):
            Idle(1)


def test_faces_that_never_blink_are_nobodys(monkeypatch, tmp_path):
    """A rate of 0 would divide by it."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "idle.json").write_text(json.dumps({**load_figures(), "blinks_per_minute": 0}))
    monkeypatch.setattr("engines.motion.idle.files", lambda package: tmp_path)
    with pytest.raises(EngineMismatch, match=r"idle\.json is damaged \(blinks_per_minute 0\)"):
        Idle(1)
