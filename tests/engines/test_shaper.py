"""The shaper: laws of the mouth, explicit state, streaming as offline."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.encoder import Code
from engines.errors import ConfigError, StreamError
from engines.motion.expression import CORNERS_HELD, DEFAULT_STRENGTH, prototype
from engines.motion.laws import LEAD, NOISY_SNR_DB
from engines.motion.reach import TYPICAL_REACH
from engines.shaper import Shaper, chunk_rms
from engines.spec import MOTION_CHANNELS, SPEC, SPEECH_CHANNELS
from engines.state import State

AT = {name: i for i, name in enumerate(MOTION_CHANNELS)}
PHONE = {name: i for i, name in enumerate(SPEC.phones)}
HAPPY_CORNER = prototype("happiness")[AT["mouthSmileLeft"]]
JAW, SIDE = AT["jawOpen"], AT["mouthOpenSide"]


def code_of(
    speech: np.ndarray, phones: np.ndarray, presence: float, mood: np.ndarray, snr_db: float = NOISY_SNR_DB
) -> Code:
    """A code whose lookahead rows differ: row i carries the speech times i + 1."""
    return Code(
        content=np.zeros((3, SPEC.content_size), np.float32),
        emotion=np.zeros(16, np.float32),
        noise=np.zeros(16, np.float32),
        speaker=np.zeros(16, np.float32),
        motion=np.stack([speech, 2 * speech, 3 * speech]).astype(np.float32),
        phone_logits=np.stack([phones] * 3).astype(np.float32),
        presence=np.full((3, 1), presence, np.float32),
        emotion_logits=np.asarray(mood, np.float32),
        snr=np.full(1, snr_db, np.float32),
    )


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random but plausible encoder rows: speech (K, 14), phones (K, 40), presence (K,), mood (K, 7), rms (K,)."""
    random = np.random.default_rng(seed)
    return {
        "speech": (0.08 * random.standard_normal((count, len(SPEECH_CHANNELS)))).astype(np.float32),
        "phone_logits": (3 * random.standard_normal((count, len(SPEC.phones)))).astype(np.float32),
        "presence": random.random(count).astype(np.float32).astype(np.float64),
        "emotion_logits": random.standard_normal((count, 7)).astype(np.float32),
        "rms": 0.1 * random.random(count),
    }


def vowel(count: int, opening: float = 0.2) -> dict[str, np.ndarray]:
    """A steady open vowel that is surely heard."""
    speech = np.zeros((count, len(SPEECH_CHANNELS)), np.float32)
    speech[:, AT["jawOpen"]], speech[:, AT["mouthOpenSide"]] = opening, 0.7 * opening
    speech[:, AT["jawDrop"]], speech[:, AT["mouthLowerDown"]] = 0.5 * opening, 0.8 * opening
    phones = np.zeros((count, len(SPEC.phones)), np.float32)
    phones[:, PHONE["AA"]] = 8
    return {
        "speech": speech,
        "phone_logits": phones,
        "presence": np.ones(count),
        "emotion_logits": np.zeros((count, 7), np.float32),
        "rms": np.full(count, 0.1),
    }


def say_phone(course: dict[str, np.ndarray], phone: str, first: int, last: int) -> None:
    course["phone_logits"][first:last] = 0
    course["phone_logits"][first:last, PHONE[phone]] = 8


def steps(shaper: Shaper, course: dict[str, np.ndarray], state: State | None = None) -> tuple[np.ndarray, State]:
    state = shaper.init_state() if state is None else state
    scale = shaper.row + 1  # `code_of` multiplies the rows
    made = []
    for k in range(len(course["speech"])):
        code = code_of(
            course["speech"][k] / np.float32(scale),
            course["phone_logits"][k],
            course["presence"][k],
            course["emotion_logits"][k],
        )
        motion, state = shaper.step(code, state, course["rms"][k])
        made.append(motion)
    return np.array(made), state


LOADED = """
import numpy as np
from engines.encoder import Code
from engines.shaper import Shaper, _step
shaper = Shaper()
print(len(_step.signatures))
shaper.step(Code.silent(), shaper.init_state(), np.float32(0.1))
print(len(_step.signatures))
"""


@pytest.mark.parametrize("name", ["laws", "mood", "life"])
def test_a_state_of_another_version_is_refused(name: str) -> None:
    """The kernels look at no bounds: they would write beside it."""
    shaper = Shaper()
    for short in (True, False):
        arrays = dict(shaper.init_state().arrays)
        arrays[name] = arrays[name][:-1] if short else np.append(arrays[name], 0.0)
        with pytest.raises(StreamError, match="another version"):
            shaper.step(Code.silent(), State(arrays), 0.0)
        with pytest.raises(StreamError, match="another version"):
            shaper.run(np.zeros((2, 14)), np.zeros((2, 40)), np.zeros(2), np.zeros((2, 7)), state=State(arrays))


def test_no_stream_waits_for_its_kernel():
    """It is loaded before the first step, in the only form that is called."""
    Shaper().run(**rows(1))  # all is compiled now: what compiles loads a kernel of its own accord
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_steps_make_what_a_whole_run_makes():
    shaper = Shaper(lookahead_ms=0, seed=4)
    course = rows(400)
    whole, end = shaper.run(**course)
    parts, other_end = steps(shaper, course)
    assert whole.dtype == parts.dtype == np.float32
    assert np.array_equal(whole, parts)
    assert end.equal(other_end)


@given(cut=st.integers(1, 299))
@settings(max_examples=20, deadline=None)
def test_a_state_saved_anywhere_goes_on_the_same(cut):
    shaper = Shaper(seed=1)
    course = rows(300)
    whole, _ = shaper.run(**course)
    first, state = shaper.run(**{n: a[:cut] for n, a in course.items()})
    second, _ = shaper.run(**{n: a[cut:] for n, a in course.items()}, state=state.copy())
    assert np.array_equal(np.concatenate([first, second]), whole)


def pause(level: float, *spans: tuple[int, int]) -> np.ndarray:
    """Opening of a clean vowel in which at times (60 to 110) the phone is silence and the sound has this RMS."""
    course = vowel(160)
    for first, last in spans or [(60, 110)]:
        say_phone(course, "SIL", first, last)
        course["rms"][first:last] = level
        course["presence"][first:last] = 0.5  # as the encoder has it: enough for a clean sound
    made, _ = Shaper(idle=False, emotion="off", reach=np.ones(11)).run(**course, snr_db=np.full(160, 30.0))
    return made[:, JAW]


@pytest.mark.parametrize("level", [0.0005, 0.03])
def test_in_a_pause_lips_meet_and_open_again_at_once(level: float):
    """In an ordinary room it lies hardly more than 10 dB below the voice."""
    opening = pause(level)
    assert (opening[10:62] > 0.18).all()
    assert (opening[74:110] < 0.2 * 0.2).all()  # a third of a second after the last sound
    assert opening[111] > 0.15


def test_a_gap_in_a_word_is_no_pause():
    assert (pause(0.0005, (60, 63))[10:] > 0.18).all()


def test_gaps_in_a_word_do_not_add_up_to_a_pause():
    assert (pause(0.0005, (60, 63), (70, 73), (80, 83), (90, 93))[10:] > 0.18).all()


def test_a_pause_after_a_pause_is_as_long_as_the_first():
    opening = pause(0.0005, (40, 70), (90, 120))
    np.testing.assert_allclose(opening[90:120], opening[40:70], atol=0.01)


@pytest.mark.parametrize("level", [0.1, 0.06])
def test_what_is_as_loud_as_the_voice_is_no_pause(level: float):
    """A laugh has no phones."""
    assert (pause(level)[10:] > 0.18).all()


def test_who_has_not_spoken_yet_makes_no_pause():
    """Lips part half a second before the first word."""
    assert (pause(0.0005, (0, 110))[20:] > 0.18).all()


def test_what_comes_later_changes_nothing_before():
    shaper = Shaper(seed=1)
    course, other = rows(300, 1), rows(300, 2)
    changed = {n: np.concatenate([a[:200], other[n][200:]]) for n, a in course.items()}
    one, _ = shaper.run(**course)
    two, _ = shaper.run(**changed)
    assert np.array_equal(one[:200], two[:200])
    assert not np.array_equal(one[200:], two[200:])


@pytest.mark.parametrize("articulation", [0.5, 1.6])
def test_articulation_moves_the_mouth_so_much_and_nothing_else(articulation):
    course = vowel(80)
    course["speech"][:, AT["browInnerUp"]] = 0.02
    course["phone_logits"][50:, PHONE["M"]] = 16
    plain, _ = Shaper(idle=False, emotion="off").run(**course)
    more, _ = Shaper(idle=False, emotion="off", articulation=articulation).run(**course)
    for name in ("jawOpen", "jawDrop", "mouthLowerDown"):
        assert more[40, AT[name]] == pytest.approx(articulation * plain[40, AT[name]], rel=1e-5)
    assert np.array_equal(more[:, AT["browInnerUp"]], plain[:, AT["browInnerUp"]])
    assert more[60:, AT["jawOpen"]].max() < 0.01  # m shuts it, however far it stood open


def test_each_part_of_the_mouth_goes_as_far_as_its_reach():
    course = vowel(80)
    course["speech"][:, AT["browInnerUp"]] = 0.02
    course["phone_logits"][50:, PHONE["M"]] = 16
    plain, _ = Shaper(idle=False, emotion="off", reach=np.ones(11)).run(**course)
    own = np.linspace(0.5, 1.5, 11)
    shaper = Shaper(idle=False, emotion="off", reach=np.ones(11))
    shaper.reach = own  # in a stream, as when another portrait is shown
    more, _ = shaper.run(**course)
    assert more[40, :11] == pytest.approx(own * plain[40, :11], rel=1e-5)
    assert np.array_equal(more[:, AT["browInnerUp"]], plain[:, AT["browInnerUp"]])
    assert more[60:, AT["jawOpen"]].max() < 0.01  # m shuts it
    # What shuts it takes back each channel's own share of the opening: the lower lip comes up as far as it went down.
    low = AT["mouthLowerDown"]
    lifted = (more[40, low] - more[70, low]) / (more[40, 0] - more[70, 0])
    lifted_plain = (plain[40, low] - plain[70, low]) / (plain[40, 0] - plain[70, 0])
    assert lifted == pytest.approx(lifted_plain * own[low] / own[0], rel=0.05)


def test_articulation_beyond_the_face_is_refused():
    with pytest.raises(ConfigError, match="articulation of 3"):
        Shaper(articulation=3)


def test_two_streams_never_mix_and_seeds_decide():
    shaper, course = Shaper(seed=1), rows(200)
    alone, _ = steps(shaper, course)
    states = [shaper.init_state(), shaper.init_state()]
    made = [[], []]
    for k in range(200):
        for i in (0, 1):
            part, states[i] = steps(shaper, {n: a[k : k + 1] for n, a in course.items()}, states[i])
            made[i].append(part[0])
    assert np.array_equal(made[0], alone)
    assert np.array_equal(made[1], alone)
    other, _ = Shaper(seed=2).run(**course)
    assert not np.array_equal(other, alone)


def test_the_lookahead_picks_its_row():
    course = vowel(50, 0.1)
    heights = []
    for lookahead_ms in (0, 40, 80):
        shaper = Shaper(lookahead_ms=lookahead_ms, idle=False)
        state = shaper.init_state()
        for k in range(50):
            code = code_of(course["speech"][k], course["phone_logits"][k], 1.0, np.zeros(7))
            motion, state = shaper.step(code, state, 0.1)
        heights.append(float(motion[JAW]))
    assert heights == pytest.approx([0.1, 0.2, 0.3], abs=1e-3)
    with pytest.raises(ConfigError, match="0, 40, 80"):
        Shaper(lookahead_ms=20)


def test_a_lookahead_chosen_in_the_stream_brings_its_own_law_of_closing():
    """F at 0.28 of what is heard: enough to begin to touch for who hears nothing more, not for who hears 80 ms more."""
    course = vowel(40)
    course["phone_logits"][:, PHONE["F"]] = 7.1
    openings = {}
    for name, first, then in (("0", 0, 0), ("80", 2, 2), ("0 to 80", 0, 2)):
        shaper = Shaper(lookahead_ms=SPEC.lookaheads_ms[first], idle=False, emotion="off")
        state = shaper.init_state()
        for k in range(40):
            shaper.row = first if k < 20 else then
            speech = course["speech"][k] / (shaper.row + 1)  # code_of gives each row its multiple
            code = code_of(speech, course["phone_logits"][k], 1.0, np.zeros(7))
            motion, state = shaper.step(code, state, 0.1)
        openings[name] = float(motion[JAW])
    assert openings["80"] - openings["0"] > 0.02
    assert openings["0 to 80"] == pytest.approx(openings["80"], abs=1e-3)


@pytest.mark.parametrize("phone", ["P", "B", "M"])
@pytest.mark.parametrize("emotion", ["off", "happy:1", "disgust:1", "fear:1", "anger:1"])
def test_p_b_m_shut_the_lips_within_40_ms_whatever_the_mood(phone, emotion):
    course = vowel(120)
    say_phone(course, phone, 60, 66)
    out, _ = Shaper(seed=3, emotion=emotion).run(**course)
    assert out[59, JAW] > 0.15
    assert (out[61:66, (JAW, SIDE)] == 0).all()  # 61: 40 ms after the code before the phone
    assert out[70, JAW] > 0.15  # and open again 80 ms after it
    gap = out[63, [AT["mouthUpperUp"], AT["mouthLowerDown"], AT["mouthRollUpper"]]].sum()
    gap += 0.76 * out[63, AT["mouthRollLower"]]
    assert gap < 0.02  # what the lips do adds up to nothing


def test_shut_lips_do_not_shut_the_jaw():
    course = vowel(120)
    say_phone(course, "M", 60, 75)
    course["speech"] /= np.append(TYPICAL_REACH, [1, 1, 1]).astype(np.float32)  # so the vowel is what is shown
    out, _ = Shaper(idle=False, emotion="off").run(**course)
    assert 0.02 < out[70, AT["jawDrop"]] < out[59, AT["jawDrop"]]


@pytest.mark.parametrize("phone", ["F", "V"])
def test_f_and_v_leave_a_sliver(phone):
    course = vowel(120)
    say_phone(course, phone, 60, 66)
    out, _ = Shaper(seed=3).run(**course)
    assert (out[62:66, JAW] > 0.005).all()
    assert (out[62:66, JAW] < 0.03).all()


@pytest.mark.parametrize("phone", ["F", "V"])
def test_f_and_v_lift_the_upper_lip_off_the_teeth(phone):
    """Also where the lips are hardly apart, so that nothing else moves."""
    course = vowel(60, opening=0.012)
    say_phone(course, phone, 30, 40)
    upper = Shaper(idle=False, emotion="off").run(**course)[0][:, AT["mouthUpperUp"]]
    assert (upper[32:40] > upper[29] + 0.004).all()
    assert upper[45:] == pytest.approx(upper[29])


@pytest.mark.parametrize(("logit", "share", "shuts"), [(5.7, 0.09, False), (7.2, 0.31, True)])
def test_a_doubtful_p_shuts_and_a_hint_of_it_does_not(logit: float, share: float, shuts: bool):
    """Strangers' p, b and m are seldom heard for sure; real lips always meet in them."""
    course = vowel(120)
    course["phone_logits"][60:66, PHONE["P"]] = logit  # against 8
    heard = np.exp(course["phone_logits"][60])
    assert heard[PHONE["P"]] / heard.sum() == pytest.approx(share, abs=0.01)
    out, _ = Shaper(idle=False, emotion="off").run(**course)
    assert (out[62:66, JAW] == 0).all() if shuts else out[60:66, JAW].min() > 0.15


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_voice_in_babble_goes_on_though_its_phones_are_half_silence(share: float):
    """Loud, noisy, phones in doubt: the face froze with shut lips."""
    course = vowel(200)
    course["presence"][:] = 0.75
    course["phone_logits"][:] = 0
    course["phone_logits"][:, PHONE["SIL"]] = np.log(share / (1 - share) * (len(SPEC.phones) - 1))
    course["rms"][:] = 0.1
    jaw = Shaper(idle=False, emotion="off").run(**course, snr_db=np.full(200, 3.0))[0][:, JAW]
    assert (jaw[60:] > 0.15).all()


def test_a_microphone_that_adds_a_constant_is_as_loud_as_one_that_does_not():
    chunk = (0.1 * np.sin(np.arange(320) * 0.3)).astype(np.float32)
    assert chunk_rms(chunk + np.float32(0.3)) == pytest.approx(chunk_rms(chunk), rel=1e-3)
    assert chunk_rms(chunk) == pytest.approx(float(np.std(chunk)), rel=1e-4)
    assert chunk_rms(np.full(320, 0.7, np.float32)) < 1e-3


@pytest.mark.parametrize("emotion", ["off", "happy:1", "disgust:1"])
def test_without_speech_the_mouth_rests_however_the_net_babbles(emotion):
    course = rows(600, 5)
    course["speech"] = np.abs(course["speech"]) + 0.1
    course["presence"][:] = 0.3
    out, _ = Shaper(seed=5, emotion=emotion).run(**course)
    assert (out[:, (JAW, SIDE)] == 0).all()


def test_a_loud_sound_whose_phone_is_silence_is_noise():
    """The net takes it for half a voice: at -20 dB it is noise, at -50 dB it may be the breath before a word."""
    course = vowel(200)
    course["presence"][:] = 0.7
    course["phone_logits"][:] = 0
    course["phone_logits"][:, PHONE["SIL"]] = 8
    for level_db, opens in ((-20, False), (-50, True)):
        course["rms"][:] = 10 ** (level_db / 20)
        jaw = Shaper(idle=False, emotion="off").run(**course)[0][:, JAW]
        assert (jaw[60:] > 0.15).all() == opens
        assert (jaw[60:] == 0).all() != opens


def test_what_counts_as_noise_in_a_noisy_sound_may_be_a_breath_in_a_clean_one():
    """Before a word a talker breathes in, at -30 dB, and his mouth is open; the phone is silence, the presence half."""
    course = vowel(200)
    course["presence"][:] = 0.45
    course["phone_logits"][:] = 0
    course["phone_logits"][:, PHONE["SIL"]] = 8
    course["rms"][:] = 10 ** (-28 / 20)
    for snr_db, opens in ((33.0, True), (5.0, False), (-10.0, False)):
        jaw = Shaper(idle=False, emotion="off").run(**course, snr_db=np.full(200, snr_db))[0][:, JAW]
        assert (jaw[60:] > 0.15).all() == opens
        assert (jaw[60:] == 0).all() != opens


def test_the_noisier_the_more_presence_is_wanted():
    """Presence that opens a loud gate at 12 dB does not at -5 dB; and a sure voice opens it at any."""
    course = vowel(200)
    for presence, snr_db, opens in ((0.6, 12.0, True), (0.6, -5.0, False), (0.9, -15.0, True)):
        course["presence"][:] = presence
        jaw = Shaper(idle=False, emotion="off").run(**course, snr_db=np.full(200, snr_db))[0][:, JAW]
        assert (jaw[60:] > 0.15).all() == opens


def onset(presence: list[float], snr_db: float) -> np.ndarray:
    """Opening from the first code of a loud sound after quiet on, whose presence begins like this and then stays."""
    course = vowel(150)
    course["presence"][:50], course["rms"][:50] = 0.0, 1e-4
    course["presence"][50:] = presence[-1]
    course["presence"][50 : 50 + len(presence)] = presence
    return Shaper(idle=False, emotion="off").run(**course, snr_db=np.full(150, snr_db))[0][50:, JAW]


def test_a_loud_vowel_out_of_quiet_opens_the_mouth_at_its_first_code():
    """The SNR knows the room's noise only, and the presence comes up: at once it would pass for noise."""
    jaw = onset([0.4, 0.4, 1.0], snr_db=5.0)
    assert jaw[0] > 0.25 * jaw[20]
    assert jaw[1] > 0.9 * jaw[20]


def test_a_loud_noise_out_of_quiet_opens_the_mouth_for_a_moment_at_most():
    """Which it may, as long as it is not known to be loud: 50 ms, and the way back."""
    jaw = onset([0.33], snr_db=5.0)
    assert (jaw[12:] == 0).all()


def test_presence_that_wavers_does_not_flutter():
    course = vowel(400)
    course["presence"] = np.where(np.arange(400) % 2, 0.42, 0.50)
    course["presence"][:50] = 1.0  # once open, what stays above the lower threshold keeps it open
    out, _ = Shaper(idle=False, emotion="off").run(**course)
    assert out[60:, JAW].min() > 0.19
    course["presence"][50:] = np.where(np.arange(350) % 2, 0.42, 0.25)
    out, _ = Shaper(idle=False, emotion="off").run(**course)
    assert out[70:, JAW].max() == 0


def test_release_is_soft_and_the_start_is_quick():
    course = vowel(200)
    course["presence"][:50] = 0
    course["presence"][120:] = 0
    jaw = Shaper(idle=False, emotion="off").run(**course)[0][:, JAW]
    assert jaw[51] > 0.18  # 40 ms
    falls = -np.diff(jaw[119:140])
    assert falls.max() < 0.4 * 0.2  # no snap
    assert (falls >= 0).all()
    assert jaw[130] == 0


def test_what_is_heard_passes_whole_and_at_once():
    course = vowel(300)
    course["speech"][:, JAW] += (0.004 * np.random.default_rng(0).standard_normal(300)).astype(np.float32)
    course["speech"][150:, JAW] += 0.08
    out, _ = Shaper(idle=False, emotion="off").run(**course)
    heard = course["speech"][:, :11].astype(np.float64)
    led = heard[20:] + LEAD * (heard[20:] - heard[18:-2])  # by the last two codes, and by nothing else
    np.testing.assert_allclose(out[20:, :11], led * TYPICAL_REACH, atol=1e-6)


def test_a_course_that_stays_is_not_led() -> None:
    course = vowel(100)
    out, _ = Shaper(idle=False, emotion="off").run(**course)
    np.testing.assert_allclose(out[20:, :11], course["speech"][20:, :11] * TYPICAL_REACH, rtol=1e-6)


def test_a_blink_shuts_eyes_that_fear_holds_wide() -> None:
    """As deep as a calm face's, and the eyes are wide between blinks."""
    lids = {}
    for mood in ("off", "fear:1"):
        out, _ = Shaper(seed=3, emotion=mood).run(**vowel(50 * 30))
        lids[mood] = out[100:, AT["eyeBlinkLeft"]]
    assert np.median(lids["fear:1"]) < -0.1
    assert np.median(lids["off"]) == pytest.approx(0, abs=0.05)
    assert lids["off"].max() > 0.9
    assert lids["fear:1"].max() > lids["off"].max() - 0.02


@given(seed=st.integers(0, 2**31 - 1), wild=st.floats(0, 20))
@settings(max_examples=25, deadline=None)
def test_every_code_is_a_face(seed, wild):
    course = rows(100, seed)
    course["speech"] *= np.float32(wild)
    out, _ = Shaper(seed=seed, emotion="fear:1").run(**course)
    assert np.isfinite(out).all()
    assert (out[:, JAW] >= 0).all()
    assert (out[:, SIDE] >= 0).all()
    assert (out[:, SIDE] <= out[:, JAW]).all()
    lids, shares = (
        out[:, [AT[n] for n in names]] for names in (("eyeBlinkLeft", "eyeBlinkRight"), ("eyeSquint", "noseSneer"))
    )
    assert (lids >= -0.2).all()
    assert (shares >= 0).all()
    assert (np.concatenate([lids, shares]) <= 1).all()
    assert np.abs(out[:, [AT["headPitch"], AT["headYaw"], AT["headRoll"]]]).max() <= 0.16


def test_idle_life_is_switched_while_the_stream_runs():
    shaper, course = Shaper(seed=5), vowel(300)  # who does not blink at the switch
    state = shaper.init_state()
    quiet = {n: a * 0 if n != "phone_logits" else a for n, a in course.items()}
    alive, state = shaper.run(**quiet, state=state)
    shaper.idle = False
    fading, state = shaper.run(**quiet, state=state)
    assert np.abs(alive[:, AT["headPitch"]]).max() > 0.005
    assert np.abs(fading[:2] - alive[-1]).max() < 0.1  # no jump
    assert np.abs(fading[-50:, AT["headPitch"]]).max() < 1e-3
    never, _ = Shaper(seed=5, idle=False, emotion="off").run(**quiet)
    assert not never.any()


def test_an_emotion_is_chosen_while_the_stream_runs():
    shaper, course = Shaper(idle=False, emotion="off"), rows(200)
    course["presence"][:] = 0
    before, state = shaper.run(**course)
    shaper.choose_emotion("smile:0.5")
    after, _ = shaper.run(**course, state=state)
    assert not before.any()
    assert after[-1, AT["mouthSmileLeft"]] == pytest.approx(0.5 * HAPPY_CORNER, rel=0.02)
    with pytest.raises(ConfigError, match="happy"):
        shaper.choose_emotion("hapy")


def test_a_chosen_look_is_there_from_the_first_picture():
    first = Shaper(idle=False, emotion="smile:1").run(**{n: a * 0 for n, a in vowel(1).items()})[0][0]
    assert first[AT["mouthSmileLeft"]] == pytest.approx(HAPPY_CORNER, rel=0.02)


def test_a_smile_holds_the_corners_that_an_open_mouth_pulls_down():
    """And lips that shut leave it as it is, for then nothing pulls."""
    corners = [AT["mouthSmileLeft"], AT["mouthSmileRight"]]
    spoken = vowel(100)
    spoken["speech"][:, corners] = -0.03
    calm, happy = (Shaper(idle=False, emotion=look).run(**spoken)[0][-1] for look in ("off", "smile:1"))
    assert calm[corners] == pytest.approx(-0.03 * TYPICAL_REACH[corners], abs=1e-4)
    look = happy[corners] - (1 - CORNERS_HELD) * calm[corners]
    assert 0.85 * HAPPY_CORNER < look.min() <= look.max() <= HAPPY_CORNER
    closed = {name: array.copy() for name, array in spoken.items()}
    closed["phone_logits"][50:] = 0
    closed["phone_logits"][50:, PHONE["M"]] = 8
    shut = Shaper(idle=False, emotion="smile:1").run(**closed)[0][-1]
    assert shut[JAW] == 0
    assert (np.abs(shut[corners] - look) < 0.02).all()


def test_who_smiles_broadly_in_the_photo_does_in_the_look():
    corners, squint = [AT["mouthSmileLeft"], AT["mouthSmileRight"]], AT["eyeSquint"]
    broad, silent = Shaper(idle=False, emotion="smile:1"), {n: a * 0 for n, a in vowel(200).items()}
    usual, state = (array[-1] if isinstance(array, np.ndarray) else array for array in broad.run(**silent))
    broad.smile = 1.4  # in a stream, as when another portrait is shown
    course, _ = broad.run(**silent, state=state)
    broader = course[-1]
    assert np.abs(np.diff(np.vstack([usual, course]), axis=0)).max() < 0.01
    assert broader[corners] == pytest.approx(1.4 * usual[corners])
    assert broader[squint] == pytest.approx(usual[squint])
    broad.choose_emotion("sad:1")
    assert broad.run(**silent)[0][-1] == pytest.approx(Shaper(idle=False, emotion="sad:1").run(**silent)[0][-1])


def talk(seconds: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A voice of four vowels a second whose level wanders by some 10 dB."""
    course = vowel(50 * seconds)
    times = np.arange(50 * seconds) * 0.02
    beat = np.clip(np.sin(2 * np.pi * 4.1 * times), 0, None)
    course["speech"] *= beat[:, None].astype(np.float32)
    course["rms"] = 0.01 + 0.1 * beat * (0.6 + 0.4 * np.sin(1.3 * times + seed))
    return course


@pytest.mark.parametrize("look", ["happy", "auto"])
def test_a_look_lives_and_keeps_its_strength_in_the_mean(look):
    """A mask's squint has no deviation; people who act happiness vary by a tenth and more within seconds."""
    squints, smiles = [], []
    for seed in range(8):
        course = talk(25, seed)
        course["emotion_logits"][:, 5] = 8.0  # surely happy
        shaper = Shaper(seed=seed, emotion=look)
        out, still = shaper.run(**course)[0][200:], Shaper(seed=seed, emotion=look, idle=False).run(**course)[0][200:]
        assert still[:, AT["eyeSquint"]].std() < 1e-3
        squints.append(out[:, AT["eyeSquint"]] / still[-1, AT["eyeSquint"]])
        smiles.append((out - still)[:, [AT["mouthSmileLeft"], AT["mouthSmileRight"]]].mean(1))
    assert np.mean(squints) == pytest.approx(1, abs=0.04)
    least = 0.1 if look == "happy" else 0.04  # a sure laugh is shown wholly, and has little room above
    assert np.min([squint[:550].std() for squint in squints]) > least
    assert np.abs(np.diff(squints, axis=1)).max() < 0.08
    assert np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(squints, smiles, strict=True)]) < 0.85  # not as one


def test_no_look_goes_a_tenth_past_its_prototype():
    for seed in range(8):
        out, _ = Shaper(seed=seed, emotion="happy:1").run(**talk(20, seed))
        assert out[:, AT["eyeSquint"]].max() <= 1.1 * 0.45 + 1e-6
        assert out[:, AT["eyeSquint"]].std() > 0.015


def test_without_idle_life_a_look_stands_still():
    out, _ = Shaper(idle=False, emotion="happy").run(**talk(10))
    assert out[50:, AT["eyeSquint"]] == pytest.approx(DEFAULT_STRENGTH * 0.45, rel=1e-6)


@pytest.mark.parametrize(
    ("look", "factor"), [("anger:1", 1.3), ("fear:0.5", 1.15), ("disgust:1", 1.3), ("happy:1", 1), ("sad:1", 1)]
)
def test_excited_mouths_open_further_and_shut_lips_stay_shut(look, factor):
    course = vowel(150)
    say_phone(course, "M", 100, 120)
    calm, excited = (Shaper(idle=False, emotion=emotion).run(**course)[0][:, JAW] for emotion in ("off", look))
    assert excited[90] == pytest.approx(factor * calm[90], rel=1e-3)
    assert (excited[103:118] == 0).all()


def test_a_voice_that_is_heard_as_angry_opens_the_mouth_further_without_a_jump():
    course = vowel(500)
    course["emotion_logits"][:, 1] = 12.0
    jaw = Shaper(idle=False).run(**course)[0][:, JAW]
    assert jaw[-1] == pytest.approx((1 + 0.3 * 0.4) * jaw[10], rel=0.02)
    assert np.abs(np.diff(jaw[10:])).max() < 0.001


def test_an_excited_head_moves_further():
    deviation = {}
    for look in ("off", "happy:1", "sad:1"):
        heads = [Shaper(seed=seed, emotion=look).run(**talk(60, seed))[0][:, AT["headPitch"]] for seed in range(4)]
        deviation[look] = np.mean([head.std() for head in heads])
    assert deviation["happy:1"] > 1.15 * deviation["off"]
    assert deviation["sad:1"] < 0.95 * deviation["off"]


def test_corners_of_the_mouth_go_unequally_far():
    """By seed, a tenth more or less, as part of idle life; both together go as far as they should."""
    corners = [AT["mouthSmileLeft"], AT["mouthSmileRight"]]
    sides = []
    for seed in range(40):
        left, right = (
            Shaper(seed=seed, emotion="smile").run(**{n: a * 0 for n, a in vowel(600).items()})[0][:, corners].T
        )
        assert (left + right).mean() == pytest.approx(2 * DEFAULT_STRENGTH * HAPPY_CORNER, rel=0.25)
        sides.append((left.mean() - right.mean()) / (left.mean() + right.mean()))
    assert 0.06 < np.std(sides) < 0.14
    assert abs(np.mean(sides)) < 0.05
    assert np.abs(sides).max() < 0.22
    left, right = Shaper(seed=1, idle=False, emotion="smile").run(**vowel(50))[0][:, corners].T
    assert np.array_equal(left, right)


def test_a_mouth_that_drifts_in_silence_keeps_its_lips_shut():
    for seed in range(5):
        out, _ = Shaper(seed=seed, emotion="off").run(**{n: a * 0 for n, a in vowel(600).items()})
        assert (out[:, (JAW, SIDE)] == 0).all()
        assert out[:, AT["mouthSmileLeft"]].std() > 0.0008
        assert out[:, AT["mouthStretch"]].std() > 0.001
        gap = out[:, [AT["mouthUpperUp"], AT["mouthLowerDown"], AT["mouthRollUpper"]]].sum(1)
        assert np.abs(gap + 0.76 * out[:, AT["mouthRollLower"]]).max() < 0.002


@pytest.mark.parametrize("name", ["speech", "phone_logits", "presence", "emotion_logits", "rms"])
def test_values_that_are_no_numbers_are_refused_and_leave_no_trace(name):
    shaper, course = Shaper(seed=1), rows(10)
    state = shaper.init_state()
    before = state.copy()
    course[name][0] = np.nan
    with pytest.raises(StreamError, match="not numbers"):
        shaper.run(**course, state=state)
    assert state.equal(before)


@pytest.mark.parametrize("phone", ["L", "T", "D", "N", "TH"])
def test_the_tongue_rises_for_its_phones_and_comes_down_for_an_open_vowel(phone: str) -> None:
    course = vowel(60)
    say_phone(course, phone, 30, 36)
    tongue = Shaper(lookahead_ms=0, idle=False).run(**course)[0][:, AT["tongueUp"]]
    assert tongue[25:30].max() < 0.15
    assert tongue[32:36].min() > 0.75  # there within three codes
    assert tongue[40:].max() < 0.15


def test_the_tongue_does_not_jump() -> None:
    course = vowel(60)
    say_phone(course, "L", 30, 36)
    tongue = Shaper(lookahead_ms=0, idle=False).run(**course)[0][:, AT["tongueUp"]]
    assert np.ptp(tongue) > 0.8
    assert np.abs(np.diff(tongue)).max() < 0.5


def test_lips_leave_the_tongue_where_its_neighbours_want_it() -> None:
    course = vowel(60)
    say_phone(course, "L", 20, 60)
    say_phone(course, "P", 30, 36)
    tongue = Shaper(lookahead_ms=0, idle=False).run(**course)[0][:, AT["tongueUp"]]
    assert tongue[26:].min() > 0.9


def test_the_tongue_rests_where_nobody_speaks() -> None:
    course = vowel(80)
    say_phone(course, "L", 0, 80)
    course["presence"][20:] = 0.0
    tongue = Shaper(lookahead_ms=0, idle=False).run(**course)[0][:, AT["tongueUp"]]
    assert tongue[10:20].min() > 0.9
    assert (tongue[30:] == 0).all()
