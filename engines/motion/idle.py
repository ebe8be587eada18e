"""The idle process: blinks, looks, sways, nods and lifts its brows, so that a face is alive whatever its mouth does.

One step a code, explicit state, no clock and no global randomness: every draw is a hash of the seed and a counter in
the state, so that a stream can be saved, resumed and repeated bit for bit, and no course ever loops. Rates, depths and
deviations of the median seed are those of GRID's talkers (engines/weights/idle.json, measured by train/motion/idle.py),
and seeds differ as those do; what GRID's short sentences cannot show (how often people change their posture or glance
away) is stated beside each constant.

    process = Idle(seed=7)
    state = process.init_state()                        # (IDLE_STATE,) float64
    step_idle(state, process.constants, talk, rms, opening, energy, out)    # numba, in place, for engines/shaper.py
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numba
import numpy as np

from engines.errors import EngineMismatch
from engines.spec import MOTION_CHANNELS, SPEC

CODE_S = SPEC.code_s
DEGREE = np.pi / 180

# Columns of the code that the process moves.
BROW_INNER, BROW_OUTER = MOTION_CHANNELS.index("browInnerUp"), MOTION_CHANNELS.index("browOuterUp")
BROW_DOWN = MOTION_CHANNELS.index("browDown")
ROLL_UPPER, ROLL_LOWER = MOTION_CHANNELS.index("mouthRollUpper"), MOTION_CHANNELS.index("mouthRollLower")
UPPER_UP, LOWER_DOWN = MOTION_CHANNELS.index("mouthUpperUp"), MOTION_CHANNELS.index("mouthLowerDown")
STRETCH = MOTION_CHANNELS.index("mouthStretch")
SMILE_LEFT, SMILE_RIGHT = MOTION_CHANNELS.index("mouthSmileLeft"), MOTION_CHANNELS.index("mouthSmileRight")
BLINK_LEFT, BLINK_RIGHT = MOTION_CHANNELS.index("eyeBlinkLeft"), MOTION_CHANNELS.index("eyeBlinkRight")
LOOK_X, LOOK_Y = MOTION_CHANNELS.index("eyeLookX"), MOTION_CHANNELS.index("eyeLookY")
PITCH, YAW, ROLL = (MOTION_CHANNELS.index(name) for name in ("headPitch", "headYaw", "headRoll"))
HEAD_X, HEAD_Y = MOTION_CHANNELS.index("headX"), MOTION_CHANNELS.index("headY")

# The state, all float64: where each thing lies. Times in s; waits count down.
(SEED, DRAWS, STARTED, TALK, LEVEL, FLOOR, ONSET_REST) = range(7)
# Lids: wait, age of this blink (-1: none), its depth, closing, hold and opening time, the right eye's lag and share.
(BLINK_WAIT, BLINK_AGE, BLINK_DEPTH, BLINK_CLOSE, BLINK_HOLD, BLINK_OPEN, BLINK_LAG, BLINK_SIDE) = range(7, 15)
# Gaze: time left of this fixation, whether it is off the camera, the point looked at (rad, in the room), and the last.
(FIX_WAIT, AWAY, GAZE_X, GAZE_Y, FROM_X, FROM_Y, SACCADE_AGE) = range(15, 22)
# Head, five each (pitch, yaw, roll rad; x, y eye distances): posture to come, now, its speed; sway's first stage, sway.
# Breath: how full the chest is, 0..1; s that filling takes, below 0: emptying.
(POST_WAIT, WANT, AT, SPEED, STAGE, SWAY) = (22, 23, 28, 33, 38, 43)
(NOD, NOD_SPEED, TURN, TURN_SPEED, BREATH, BREATH_S) = range(48, 54)
(BROW, BROW_INNER_SWAY, BROW_STAGE, ACCENT, ACCENT_WANT, ACCENT_LEFT, PRESS_WAIT, PRESS_AGE) = range(54, 62)
# s since the last blink's start and whether it was a double's second; the lips' opening, smoothed, and its mean.
(BLINK_SINCE, DOUBLED, OPENING, OPENING_MEAN) = range(62, 66)
# Play of features: s of voice heard (at most LOUD_S), its envelope and that one's mean, dB; two each (upper and lower
# face): the noise's stage, the noise, and by what share looks are shown above their strength.
(HEARD, ENVELOPE, ENVELOPE_MEAN, PLAY_STAGE, PLAY_NOISE, PLAY) = (66, 67, 68, 69, 71, 73)
# Drift of the resting mouth, four each (stretch, both corners, the left one's own, the right one's own): stage, noise.
(DRIFT_STAGE, DRIFT) = (75, 79)
# The seat, three each (x, y eye distances; yaw rad): the place to come, where it is now, its speed.
(SEAT_WAIT, SEAT_WANT, SEAT, SEAT_SPEED) = (83, 84, 87, 90)
BLINK_FROM = 93  # how far shut the lids were when this blink began: a double's second begins on the first's way up
# s without voice; whether the next look goes aside, and s until one may; the chest as it shows; the brows' accent to
# come: s until then (below 0: none), its height; the press of the lips: depth, length, the corner that goes along (1:
# left, -1: right).
(SILENT_S, GLANCE, GLANCE_REST, CHEST, ACCENT_WAIT, ACCENT_NEXT, PRESS_DEPTH, PRESS_S, PRESS_SIDE) = range(94, 103)
IDLE_STATE = 103

# Constants that travel as one array (what GRID says), and those that are laws.
(C_BLINK_S, C_DEPTH, C_DEPTH_SPREAD, C_CLOSE_S, C_DOUBLE) = range(5)
(C_PITCH, C_YAW, C_ROLL, C_SHIFT_X, C_SHIFT_Y, C_BROW, C_FOLLOW, C_UNEVEN) = range(5, 13)
CONSTANTS = 13

LISTENING_LIMIT, SPEAKING_LIMIT = 3.8 * DEGREE, 5.5 * DEGREE  # no head angle leaves these
GAZE_LIMIT = 12 * DEGREE
SHIFT_LIMIT = 0.075  # eye distances
BROW_LIMIT = 0.05
PHRASE_S = 0.4  # a voice that comes after so long a silence begins a phrase
# GRID's inner brows are as high with lips apart as with lips shut (r .02) and rise by .003 as a sentence begins; of
# their moves past .008 one of eight goes down.
ACCENT_BEGINS, ACCENT_SINGLE, ACCENT_DOWNWARDS, ACCENT_LATE_S = 0.6, 0.20, 0.15, 0.30
SACCADE_S = 0.04  # two codes; real ones take 25 to 45 ms for the 3 to 9 degrees used here
# Talkers look away, mostly as they begin (Kendon 1967; Argyle & Cook 1976). Here half as much as those and Andrist et
# al. say (2014: 2 of 7 s speaking, 1 of 8 s listening): callers want to be looked at.
GLANCE_BY_ITSELF, GLANCE_BEGINS, GLANCE_ON = 0.08, 0.25, 0.15  # of looks, of phrases, of glances that go on elsewhere
GLANCE_LEAST_S, GLANCE_MOST_S, GLANCE_APART_S = 0.5, 1.6, 2.0
ON_SCREEN = 0.25  # of the looks between: at the other's picture, which lies below the lens
# People settle anew in their chair: a GRID talker's clips lie .027 to .045 apart sideways, .7 to 1.7 degrees in yaw.
SEAT_S, SEAT_LEAST_S, SEAT_HZ = 13.0, 5.0, 0.3
SEAT_SHIFT, SEAT_YAW = 1.6, 1.2  # of what the head does within a sentence
POSTURE_HZ = 0.45  # how briskly a new posture is taken up
POSTURE_BEGINS = 0.5  # of phrases begin with a posture of their own
NOD_HZ, NOD_DAMPING = 1.7, 0.55
# An intake lifts the shoulders by a millimetre. The head, which they carry, bows meanwhile, so that the nose rises by a
# third of that. Two fifths of a quiet breath are intake; in speech it is short, comes in pauses and lasts a phrase.
BREATH_LIFT, BREATH_BOW, BREATH_SOFT_S = 0.012, 0.3 * DEGREE, 0.12
BREATH_PAUSE_S = 0.16  # without voice: shorter ones are a word's own
BREATH_SPENT = 0.6  # what is left of a breath at most where a pause is used for the next: at each one heads would pant
PHRASE_BREATH_S, QUIET_BREATH_S = (4.0, 5.5), (2.2, 3.2)  # how long a breath goes out
SWAY_S = 0.25  # two stages of this: smooth noise, about a move a second
# The head goes along with the lips: in GRID the chin rises as they part, r .33 within a second, at no lag; by person 0
# to 9 degrees of pitch an eye distance of opening, above its mean of a second.
FOLLOW_MOST, FOLLOW_S, FOLLOW_MEAN_S = 10 * DEGREE, 0.06, 1.0
# Looks live with the voice and by themselves: two stages of .4 s, no longer alike after .8 s.
PLAY_S, PLAY_DEPTH, LOUD_DEPTH = 0.4, 0.22, 0.18
PLAY_LEAST, PLAY_MOST = -0.25, 0.25
LOUD_S, LOUD_DB, LOUD_ATTACK_S, LOUD_RELEASE_S = 2.0, 10.0, 0.08, 0.40  # stresses, not every syllable
DRIFT_S = 0.5  # two stages of this
DRIFT_STRETCH, DRIFT_CORNERS, DRIFT_CORNER = 0.003, 0.0016, 0.0012  # eye distances; a corner: .002 in all
BLINK_REFRACTORY_S = 0.35
LID_UP, LID_UP_FROM = 0.12, 2.5 * DEGREE  # lids above rest, and the look up from which they are: nearer GRID's rest
BLINK_APART_S = 0.6  # nearer ones are a double
AFTER_DOUBLE_S = 1.0  # four blinks within 1.4 s would flutter
FIRST_BLINK_S = 4.0
HASTENED = 1.13  # how much longer blinks would be apart if none were hastened
# People: deviations of the logarithm, of all that the head does, of each of its ways, and of the time between blinks;
# GRID's heads differ by four, its blinks from none to 47 a minute. None is further out than PERSON_LIMIT deviations.
PERSON_HEAD, PERSON_WAY, PERSON_BLINK, PERSON_LIMIT = 0.40, 0.25, 0.35, 1.5
PERSON_LEAST, PERSON_MOST = 0.7, 1.6  # of the median head: less looks frozen, more dizzy
ENERGY_ASIDE = 0.25  # of what moods do to nods, to turns and tilts
UNEVEN, UNEVEN_LIMIT = 0.10, 0.20  # by what share one corner goes further than both do
# What is taken from GRID's file: shape, and least and most that may be people's.
FIGURES: dict[str, tuple[tuple[int, ...], float, float]] = {
    "blinks_per_minute": ((), 1.0, 100.0),
    "double_blink_share": ((), 0.0, 0.5),
    "blink_depth_std": ((), 0.0, 0.5),
    "head_std_deg": ((3,), 0.0, 10.0),
    "shift_std": ((2,), 0.0, 1.0),
    "brow_std": ((3,), 0.0, 1.0),
}
PERSON_DRAWS = -1000  # where a person's draws begin: those of a stream begin at 0


@numba.njit(cache=True)
def _draw(state: np.ndarray) -> float:
    """Uniform in [0, 1): SplitMix64 (Steele, Lea & Flood 2014) of seed and counter."""
    state[DRAWS] += 1
    z = np.uint64(np.int64(state[SEED])) * np.uint64(0xD1342543DE82EF95) + np.uint64(
        np.int64(state[DRAWS])
    ) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True)
def _normal(state: np.ndarray) -> float:
    """Near-normal, deviation 1, never past 3.5: the sum of four uniform draws."""
    return (_draw(state) + _draw(state) + _draw(state) + _draw(state) - 2.0) * 1.7320508


@numba.njit(cache=True)
def _wait(state: np.ndarray, mean_s: float, least_s: float) -> float:
    """Exponential with a dead time, of this mean."""
    return least_s - (mean_s - least_s) * np.log(1.0 - _draw(state))


@numba.njit(cache=True)
def _noises(state: np.ndarray, stage: int, noise: int, count: int, stage_s: float) -> None:
    """Age smooth noises of deviation 1: two stages of stage_s each."""
    gain = 2 * (stage_s / CODE_S) ** 0.5
    for i in range(count):
        state[stage + i] += CODE_S / stage_s * (gain * _normal(state) - state[stage + i])
        state[noise + i] += CODE_S / stage_s * (state[stage + i] - state[noise + i])


@numba.njit(cache=True)
def _settle(state: np.ndarray, want: int, at: int, speed: int, count: int, hz: float) -> None:
    """Go on to what is wanted by a spring that does not swing past it."""
    stiff = (2 * np.pi * hz) ** 2
    for i in range(count):
        push = stiff * (state[want + i] - state[at + i]) - 2 * np.sqrt(stiff) * state[speed + i]
        state[speed + i] += push * CODE_S
        state[at + i] += state[speed + i] * CODE_S


@numba.njit(cache=True)
def _between(state: np.ndarray, low: float, high: float) -> float:
    return low + (high - low) * _draw(state)


@numba.njit(cache=True)
def _smooth(x: float) -> float:
    """Smooth step 0..1."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


@numba.njit(cache=True)
def _limit(x: float, limit: float) -> float:
    """x where it is small, never past the limit, no corner between."""
    return limit * np.tanh(x / limit)


@numba.njit(cache=True)
def _lid(state: np.ndarray, lag: float) -> float:
    """Closure 0..1 of one eye now: a quick way down, a short hold, a slower way up that ends softly."""
    age = state[BLINK_AGE] + lag
    if state[BLINK_AGE] < 0:
        return 0.0
    if age < state[BLINK_CLOSE]:
        return state[BLINK_FROM] + (state[BLINK_DEPTH] - state[BLINK_FROM]) * _smooth(age / state[BLINK_CLOSE])
    age -= state[BLINK_CLOSE] + state[BLINK_HOLD]
    if age <= 0:
        return state[BLINK_DEPTH]
    x = age / state[BLINK_OPEN]
    quick, slow = (1 + x) * np.exp(-x), np.exp(-0.25 * x)
    return state[BLINK_DEPTH] * (0.7 * quick + 0.3 * slow) * (1 - _smooth((x - 6) / 6))


@numba.njit(cache=True)
def _blink(state: np.ndarray, c: np.ndarray, hasten: float) -> None:
    """Start, age and end blinks. hasten: how much sooner than by itself the next one comes (0: by itself)."""
    if state[BLINK_AGE] >= 0:
        state[BLINK_AGE] += CODE_S
        if state[BLINK_AGE] > state[BLINK_CLOSE] + state[BLINK_HOLD] + 12 * state[BLINK_OPEN]:
            state[BLINK_AGE] = -1
    state[BLINK_WAIT] -= CODE_S
    state[BLINK_SINCE] += CODE_S
    rested = state[BLINK_AGE] < 0 and (state[DOUBLED] == 0 or state[BLINK_SINCE] > AFTER_DOUBLE_S)
    if hasten > 0 and state[BLINK_WAIT] > 0.1 and rested and _draw(state) < hasten:
        state[BLINK_WAIT] = _between(state, 0.0, 0.1)
    if state[BLINK_WAIT] > 0:
        return
    state[DOUBLED] = 1.0 if state[BLINK_SINCE] < BLINK_APART_S else 0.0
    state[BLINK_SINCE] = 0
    state[BLINK_FROM] = _lid(state, 0.0)
    state[BLINK_AGE] = 0
    state[BLINK_DEPTH] = c[C_DEPTH] - c[C_DEPTH_SPREAD] * abs(_normal(state))
    if _draw(state) < 0.06:
        state[BLINK_DEPTH] *= _between(state, 0.55, 0.85)  # some blinks stop half-way
    state[BLINK_CLOSE] = c[C_CLOSE_S] * _between(state, 0.8, 1.25)
    state[BLINK_HOLD] = _between(state, 0.005, 0.025)
    state[BLINK_OPEN] = _between(state, 0.036, 0.048)
    state[BLINK_LAG] = _between(state, -0.008, 0.008)
    state[BLINK_SIDE] = _between(state, 0.96, 1.0)
    if state[DOUBLED] > 0:
        state[BLINK_WAIT] = _wait(state, c[C_BLINK_S], AFTER_DOUBLE_S)
    elif _draw(state) < c[C_DOUBLE]:
        state[BLINK_WAIT] = _between(state, BLINK_REFRACTORY_S, 0.55)
    else:
        state[BLINK_WAIT] = _wait(state, c[C_BLINK_S], BLINK_APART_S)


@numba.njit(cache=True)
def _gaze(state: np.ndarray, begins: bool) -> bool:
    """Hold a fixation, then jump. True where this code begins a large jump. begins: a phrase does now."""
    talk = state[TALK]
    if begins and state[GLANCE_REST] <= 0 and _draw(state) < GLANCE_BEGINS:
        state[GLANCE] = 1
        state[FIX_WAIT] = min(state[FIX_WAIT], _between(state, 0.0, 0.3))
    state[SACCADE_AGE] += CODE_S
    state[FIX_WAIT] -= CODE_S
    state[GLANCE_REST] -= CODE_S
    if state[FIX_WAIT] > 0:
        return False
    state[FROM_X], state[FROM_Y] = state[GAZE_X], state[GAZE_Y]
    state[SACCADE_AGE] = CODE_S
    was_away = state[AWAY] > 0
    aside = state[GLANCE] > 0
    state[GLANCE] = 0
    likely = GLANCE_ON if was_away else (GLANCE_BY_ITSELF if state[GLANCE_REST] <= 0 else 0.0)
    if aside or _draw(state) < likely:
        side = 1.0 if _draw(state) < 0.5 else -1.0
        if was_away:  # from side to side would look shifty
            side = 1.0 if state[FROM_X] > 0 else -1.0
        state[GAZE_X] = side * _between(state, 3.0, 7.5) * DEGREE
        state[GAZE_Y] = _between(state, -4.5, 2.5) * DEGREE
        state[AWAY] = 1
        state[FIX_WAIT] = _between(state, GLANCE_LEAST_S, GLANCE_MOST_S)
        state[GLANCE_REST] = state[FIX_WAIT] + GLANCE_APART_S
        return True
    # From eye to eye to mouth of the other: within a degree of the lens, at times of what is shown below it.
    state[GAZE_X] = 0.55 * DEGREE * _normal(state)
    state[GAZE_Y] = 0.40 * DEGREE * _normal(state)
    if _draw(state) < ON_SCREEN:
        state[GAZE_Y] -= _between(state, 0.8, 1.8) * DEGREE
    state[AWAY] = 0
    state[FIX_WAIT] = _wait(state, 1.3 - 0.3 * talk, 0.25)
    return was_away


@numba.njit(cache=True)
def _posture(state: np.ndarray, c: np.ndarray, energy: float) -> None:
    """Want a posture anew."""
    aside = 1 + ENERGY_ASIDE * (energy - 1)
    size = 1.0 + 0.3 * state[TALK]
    for i in range(3):
        state[WANT + i] = (energy if i == 0 else aside) * c[C_PITCH + i] * size * 1.4 * _normal(state)
    state[WANT + 2] -= 0.25 * state[WANT + 1]  # who turns aside tilts a little with it
    state[WANT + 3] = c[C_SHIFT_X] * size * 0.6 * _normal(state) + 0.10 * state[WANT + 1]
    state[WANT + 4] = c[C_SHIFT_Y] * size * 0.5 * _normal(state)


@numba.njit(cache=True)
def _head(state: np.ndarray, c: np.ndarray, begins: bool, onset: float, opening: float, energy: float) -> None:
    """Seat and posture (held, then left), sway, nods, and how the chin goes along with the lips."""
    talk, aside = state[TALK], 1 + ENERGY_ASIDE * (energy - 1)
    state[POST_WAIT] -= CODE_S
    if begins and _draw(state) < POSTURE_BEGINS:
        state[POST_WAIT] = min(state[POST_WAIT], _between(state, 0.0, 0.3))
    if state[POST_WAIT] <= 0:
        # GRID's sentences are too short to show it: a shift each 4 s in silence and each 2 s in speech.
        state[POST_WAIT] = _wait(state, 3.6 - 1.8 * talk, 0.7)
        _posture(state, c, energy)
    _settle(state, WANT, AT, SPEED, 5, POSTURE_HZ * (1 + 0.5 * talk))
    _noises(state, STAGE, SWAY, 5, SWAY_S)

    state[SEAT_WAIT] -= CODE_S
    if state[SEAT_WAIT] <= 0:
        state[SEAT_WAIT] = _wait(state, SEAT_S, SEAT_LEAST_S)
        state[SEAT_WANT] = SEAT_SHIFT * c[C_SHIFT_X] * _normal(state)
        state[SEAT_WANT + 1] = SEAT_SHIFT * c[C_SHIFT_Y] * _normal(state)
        state[SEAT_WANT + 2] = SEAT_YAW * c[C_YAW] * _normal(state)
    _settle(state, SEAT_WANT, SEAT, SEAT_SPEED, 3, SEAT_HZ)

    if onset > 0:
        push = onset * DEGREE
        state[NOD_SPEED] += (-1.0 if _draw(state) < 0.5 else 0.6) * energy * push * _between(state, 3.0, 14.0)
        state[TURN_SPEED] += 5.0 * aside * push * _normal(state)
    stiff = (2 * np.pi * NOD_HZ) ** 2
    for i in range(0, 3, 2):  # NOD, TURN
        push = -stiff * state[NOD + i] - 2 * NOD_DAMPING * np.sqrt(stiff) * state[NOD + i + 1]
        state[NOD + i + 1] += push * CODE_S
        state[NOD + i] += state[NOD + i + 1] * CODE_S

    state[OPENING] += CODE_S / FOLLOW_S * (opening - state[OPENING])
    state[OPENING_MEAN] += CODE_S / FOLLOW_MEAN_S * (opening - state[OPENING_MEAN])


@numba.njit(cache=True)
def _breathe(state: np.ndarray) -> None:
    """12 to 17 breaths a minute in silence; in speech a quick intake in each pause, and one where no pause comes."""
    talks, pauses = state[TALK] > 0.3, BREATH_PAUSE_S <= state[SILENT_S] < BREATH_PAUSE_S + CODE_S
    if talks and -PHRASE_BREATH_S[0] < state[BREATH_S] < 0:  # a pause's quiet breath goes out: the phrase has it now
        state[BREATH_S] = -_between(state, PHRASE_BREATH_S[0], PHRASE_BREATH_S[1])
    state[BREATH] += CODE_S / state[BREATH_S]
    if state[BREATH] >= 1:
        state[BREATH] = 1
        lasts = PHRASE_BREATH_S if talks else QUIET_BREATH_S
        state[BREATH_S] = -_between(state, lasts[0], lasts[1])
    elif state[BREATH_S] < 0 and (state[BREATH] <= 0 or (talks and pauses and state[BREATH] < BREATH_SPENT)):
        state[BREATH] = max(0.0, state[BREATH])
        state[BREATH_S] = _between(state, 0.4, 0.7) if talks else _between(state, 1.4, 2.0)
    state[CHEST] += CODE_S / BREATH_SOFT_S * (_smooth(state[BREATH]) - state[CHEST])


@numba.njit(cache=True)
def _brows(state: np.ndarray, c: np.ndarray, begins: bool, stress: float) -> None:
    """A slow wander, and accents: at a phrase's beginning, and seldom on a stressed syllable, somewhat late."""
    state[BROW_STAGE] += CODE_S / 0.5 * (6.0 * _normal(state) - state[BROW_STAGE])
    state[BROW] += CODE_S / 0.5 * (c[C_BROW] * state[BROW_STAGE] - state[BROW])
    state[BROW_INNER_SWAY] += CODE_S / 0.9 * (0.4 * c[C_BROW] * 6.7 * _normal(state) - state[BROW_INNER_SWAY])
    likely = ACCENT_BEGINS if begins else (ACCENT_SINGLE * stress if stress > 0.2 else 0.0)
    if likely > 0 and state[ACCENT_WAIT] < 0 and state[ACCENT_LEFT] <= 0 and _draw(state) < likely:
        height = max(stress, 0.6 if begins else 0.4) * _between(state, 1.5, 4.5) * c[C_BROW]
        state[ACCENT_NEXT] = height * (-0.7 if _draw(state) < ACCENT_DOWNWARDS else 1.0)
        state[ACCENT_WAIT] = _between(state, 0.0, ACCENT_LATE_S)
    if state[ACCENT_WAIT] >= 0:
        state[ACCENT_WAIT] -= CODE_S
        if state[ACCENT_WAIT] < 0:
            state[ACCENT_WANT] = state[ACCENT_NEXT]
            state[ACCENT_LEFT] = _between(state, 0.18, 0.45)
    state[ACCENT_LEFT] -= CODE_S
    want = state[ACCENT_WANT] if state[ACCENT_LEFT] > 0 else 0.0
    state[ACCENT] += CODE_S / (0.09 if abs(want) > abs(state[ACCENT]) else 0.25) * (want - state[ACCENT])


@numba.njit(cache=True)
def _play(state: np.ndarray, level: float, presence: float) -> None:
    """By what share looks are shown above their strength: with the voice's level above its own mean, and by chance."""
    rise = level - state[ENVELOPE]
    state[ENVELOPE] += CODE_S / (LOUD_ATTACK_S if rise > 0 else LOUD_RELEASE_S) * rise
    state[HEARD] = min(LOUD_S, state[HEARD] + CODE_S * presence)
    state[ENVELOPE_MEAN] += presence * CODE_S / max(state[HEARD], CODE_S) * (state[ENVELOPE] - state[ENVELOPE_MEAN])
    loud = state[TALK] * min(1.0, max(-1.0, (state[ENVELOPE] - state[ENVELOPE_MEAN]) / LOUD_DB))
    _noises(state, PLAY_STAGE, PLAY_NOISE, 2, PLAY_S)
    for half in range(2):
        play = PLAY_DEPTH * state[PLAY_NOISE + half] + LOUD_DEPTH * loud
        state[PLAY + half] = min(PLAY_MOST, max(PLAY_LEAST, play))


@numba.njit(cache=True)
def _begin(state: np.ndarray, c: np.ndarray, energy: float) -> None:
    """A stream's first code: as if the face had been there before."""
    state[STARTED] = 1
    # But whoever comes does not want to be stared at for long.
    state[BLINK_WAIT] = min(_wait(state, 0.85 * c[C_BLINK_S], 0.2), FIRST_BLINK_S)
    state[BLINK_AGE] = -1
    state[FIX_WAIT] = _between(state, 0.3, 1.0)
    state[BREATH_S] = _between(state, 1.4, 2.0)  # an intake, from the photo's own shoulders
    state[ACCENT_WAIT] = -1
    _posture(state, c, energy)  # from the photo's, at which a stream begins, as soon as from any other
    state[POST_WAIT] = _between(state, 0.3, 0.8)
    state[BLINK_SINCE] = BLINK_APART_S
    state[PRESS_WAIT] = _between(state, 3.0, 8.0)
    state[PRESS_AGE] = -1
    state[SEAT_WAIT] = _wait(state, SEAT_S, SEAT_LEAST_S)  # the first seat is the photo's
    state[LEVEL] = state[FLOOR] = state[ENVELOPE] = -60.0


@numba.njit(cache=True)
def _stress(state: np.ndarray, level: float, presence: float) -> float:
    """How loud against the last half second, 0..1: a stressed syllable begins where that jumps; 0 at all other codes.

    level: of the chunk, dB of full scale.
    """
    state[LEVEL] += CODE_S / 0.05 * (level - state[LEVEL])
    state[FLOOR] += CODE_S / 0.5 * (level - state[FLOOR])
    state[ONSET_REST] -= CODE_S
    rise = state[LEVEL] - state[FLOOR]
    if rise > 3.0 and presence > 0.5 and state[ONSET_REST] <= 0:
        state[ONSET_REST] = 0.28
        return min(1.0, (rise - 3.0) / 9.0)
    return 0.0


@numba.njit(cache=True)
def _press(state: np.ndarray, out: np.ndarray) -> None:
    """Lips press together now and then, in silence only; what presses does not open."""
    talk = state[TALK]
    state[PRESS_WAIT] -= CODE_S
    if state[PRESS_AGE] >= 0:
        state[PRESS_AGE] += CODE_S
        if state[PRESS_AGE] > state[PRESS_S]:
            state[PRESS_AGE] = -1
    elif state[PRESS_WAIT] <= 0 and talk < 0.1:
        state[PRESS_AGE] = 0
        state[PRESS_WAIT] = _wait(state, 10.0, 4.0)
        state[PRESS_DEPTH] = _between(state, 0.4, 1.4)
        state[PRESS_S] = _between(state, 0.6, 1.3)
        side = _draw(state)
        state[PRESS_SIDE] = 0.0 if side > 0.3 else (1.0 if side > 0.15 else -1.0)
    if state[PRESS_AGE] >= 0:
        press = state[PRESS_DEPTH] * np.sin(np.pi * state[PRESS_AGE] / state[PRESS_S]) ** 2 * (1 - talk)
        out[ROLL_UPPER] += 0.010 * press
        out[ROLL_LOWER] += 0.012 * press
        out[UPPER_UP] -= 0.008 * press
        out[LOWER_DOWN] -= 0.011 * press
        out[SMILE_LEFT] += 0.004 * press * max(0.0, state[PRESS_SIDE])
        out[SMILE_RIGHT] += 0.004 * press * max(0.0, -state[PRESS_SIDE])


@numba.njit(cache=True)
def _show_head(state: np.ndarray, c: np.ndarray, energy: float, out: np.ndarray) -> tuple[float, float]:
    """The head's angles and shifts, all limited; returns pitch and yaw."""
    talk = state[TALK]
    limit = LISTENING_LIMIT + (SPEAKING_LIMIT - LISTENING_LIMIT) * talk
    sway = 0.50 + 0.25 * talk
    pitch = state[AT] + energy * sway * c[C_PITCH] * state[SWAY] + state[NOD] - BREATH_BOW * state[CHEST]
    pitch += c[C_FOLLOW] * (state[OPENING] - state[OPENING_MEAN])
    sway *= 1 + ENERGY_ASIDE * (energy - 1)
    yaw = state[SEAT + 2] + state[AT + 1] + sway * c[C_YAW] * state[SWAY + 1] + state[TURN]
    roll = state[AT + 2] + sway * c[C_ROLL] * state[SWAY + 2]
    pitch, yaw, roll = _limit(pitch, limit), _limit(yaw, limit), _limit(roll, 0.7 * limit)
    out[PITCH] += pitch
    out[YAW] += yaw
    out[ROLL] += roll
    shift_x = state[SEAT] + state[AT + 3] + 0.3 * c[C_SHIFT_X] * state[SWAY + 3]
    shift_y = state[SEAT + 1] + state[AT + 4] + 0.3 * c[C_SHIFT_Y] * state[SWAY + 4] - BREATH_LIFT * state[CHEST]
    out[HEAD_X] += _limit(shift_x, SHIFT_LIMIT)
    out[HEAD_Y] += _limit(shift_y, SHIFT_LIMIT)
    return pitch, yaw


@numba.njit(cache=True)
def _show_eyes(state: np.ndarray, pitch: float, yaw: float, out: np.ndarray) -> None:
    """Gaze, lids and brows. Eyes stay on what they look at while the head moves (vestibulo-ocular reflex)."""
    way = _smooth(state[SACCADE_AGE] / SACCADE_S)
    look_x = state[FROM_X] + way * (state[GAZE_X] - state[FROM_X]) - yaw
    look_y = state[FROM_Y] + way * (state[GAZE_Y] - state[FROM_Y]) - pitch
    look_x, look_y = _limit(look_x, GAZE_LIMIT), _limit(look_y, GAZE_LIMIT)
    out[LOOK_X] += look_x
    out[LOOK_Y] += look_y

    # The lid follows the eye down, and far up; a blink comes on top of it.
    lowered = min(0.25, max(0.0, -look_y * 1.2)) - min(LID_UP, max(0.0, (look_y - LID_UP_FROM) * 1.6))
    left, right = _lid(state, 0.0), _lid(state, state[BLINK_LAG]) * state[BLINK_SIDE]
    out[BLINK_LEFT] += left + lowered * (1 - left)
    out[BLINK_RIGHT] += right + lowered * (1 - right)

    brow = _limit(state[BROW] + state[ACCENT] + 0.05 * max(0.0, look_y), BROW_LIMIT)
    out[BROW_INNER] += brow + state[BROW_INNER_SWAY]
    out[BROW_OUTER] += brow
    out[BROW_DOWN] += 0.5 * max(0.0, -state[ACCENT])


@numba.njit(cache=True)
def step_idle(
    state: np.ndarray, c: np.ndarray, presence: float, rms: float, opening: float, energy: float, out: np.ndarray
) -> None:
    """One code: age the state and add the process to `out` (26,); in place, float64.

    presence 0..1 (somebody speaks), rms of the chunk's samples (1 is full scale), opening of the lips in eye distances,
    energy: factor of what the head does by itself (1: as calm talkers do).
    """
    if state[STARTED] == 0:
        _begin(state, c, energy)
    was_talking = state[TALK]
    state[TALK] += CODE_S / (0.15 if presence > state[TALK] else 0.5) * (presence - state[TALK])
    level = 20 * np.log10(max(rms, 1e-4))
    stress = _stress(state, level, presence)
    onset = min(1.0, stress + min(0.5, opening * 2.0)) if stress > 0 else 0.0
    begins = presence > 0.5 and state[SILENT_S] >= PHRASE_S
    state[SILENT_S] = 0.0 if presence > 0.5 else state[SILENT_S] + CODE_S

    jump = _gaze(state, begins)
    paused = was_talking >= 0.5 and state[TALK] < 0.5
    _blink(state, c, 0.12 if paused else (0.25 if jump else 0.0))
    _head(state, c, begins, onset, opening, energy)
    _breathe(state)
    _brows(state, c, begins, stress)
    _play(state, level, presence)

    pitch, yaw = _show_head(state, c, energy, out)
    _show_eyes(state, pitch, yaw, out)
    # Corners are never quite still, and their drift parts no lips.
    _noises(state, DRIFT_STAGE, DRIFT, 4, DRIFT_S)
    out[STRETCH] += DRIFT_STRETCH * state[DRIFT]
    out[SMILE_LEFT] += DRIFT_CORNERS * state[DRIFT + 1] + DRIFT_CORNER * state[DRIFT + 2]
    out[SMILE_RIGHT] += DRIFT_CORNERS * state[DRIFT + 1] + DRIFT_CORNER * state[DRIFT + 3]
    _press(state, out)


def load_figures() -> dict[str, Any]:
    """What train/motion/idle.py measured on GRID (engines/weights/idle.json), all of FIGURES in their range.

    EngineMismatch where the file is damaged.
    """
    try:
        figures: dict[str, Any] = json.loads((files("engines") / "weights" / "idle.json").read_text())
        for name, (shape, least, most) in FIGURES.items():
            found = np.array(figures[name], float)
            if found.shape != shape or not ((found >= least) & (found <= most)).all():
                raise ValueError(f"{name} {figures[name]}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EngineMismatch(f"engines/weights/idle.json is damaged ({error})", "install voxcam again") from error
    return figures


class Idle:
    """One seed's process: its constants and its state at the start."""

    def __init__(self, seed: int = 0) -> None:
        """seed: any integer; two faces with one seed blink alike, and are alike in temper."""
        self.seed = seed
        figures = load_figures()
        head = np.array(figures["head_std_deg"]) * DEGREE
        shift = np.array(figures["shift_std"])
        brow = np.array(figures["brow_std"])
        self.constants = np.zeros(CONSTANTS)
        doubles = float(figures["double_blink_share"])
        # Of blinks, `doubles` come 0.45 s after another; the rest must wait longer than the mean distance. Pauses and
        # glances hasten some, more of them in speech, as in people: without them the others would come too often.
        own = HASTENED * 60.0 / float(figures["blinks_per_minute"])
        draws = self.init_state()
        draws[DRAWS] = PERSON_DRAWS
        person = np.clip([_normal(draws) for _ in range(7)], -PERSON_LIMIT, PERSON_LIMIT)
        draws[DRAWS] += 4  # an eighth trait was drawn once: seeds stay who they are
        own *= np.exp(PERSON_BLINK * person[0] + PERSON_BLINK**2 / 2)  # GRID's rate is a mean of people, so is ours
        self.constants[C_BLINK_S] = (own - 0.45 * doubles) / (1 - doubles)
        self.constants[C_DEPTH] = 1.0
        self.constants[C_DEPTH_SPREAD] = float(figures["blink_depth_std"])
        # With BLINK_HOLD and BLINK_OPEN, by what FaceMesh reads of drawn lids, not by their codes: half shut reads a
        # third (train/motion/idle.py). GRID: .48 of the depth 40 ms before the deepest picture; .73, .39, .22 after it.
        self.constants[C_CLOSE_S] = 0.070
        self.constants[C_DOUBLE] = doubles / (1 - doubles)  # of those that are no double's second
        ways = np.exp(PERSON_HEAD * person[1] + PERSON_WAY * person[2:])
        self.constants[C_PITCH : C_SHIFT_Y + 1] = np.clip(ways, PERSON_LEAST, PERSON_MOST)
        self.constants[C_PITCH : C_ROLL + 1] *= head
        self.constants[C_SHIFT_X : C_SHIFT_Y + 1] *= shift
        self.constants[C_FOLLOW] = FOLLOW_MOST * _draw(draws)
        self.constants[C_UNEVEN] = np.clip(UNEVEN * _normal(draws), -UNEVEN_LIMIT, UNEVEN_LIMIT)
        self.constants[C_BROW] = 0.85 * float(brow[:2].mean())  # the rest of GRID's deviation is landmark jitter

    def init_state(self) -> np.ndarray:
        """(IDLE_STATE,) float64 at the start of a stream."""
        state = np.zeros(IDLE_STATE)
        state[SEED] = self.seed % (1 << 31)
        return state


@numba.njit(cache=True)
def run_idle(
    state: np.ndarray,
    c: np.ndarray,
    presence: np.ndarray,
    rms: np.ndarray,
    opening: np.ndarray,
    energy: float,
    out: np.ndarray,
) -> None:
    """Many codes at once: presence, rms, opening (K,) and out (K, 26), in place; the same as K steps."""
    for k in range(len(out)):
        step_idle(state, c, presence[k], rms[k], opening[k], energy, out[k])
