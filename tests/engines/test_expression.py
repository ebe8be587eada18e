"""Emotion: names, prototypes that keep the lips' gap, and `auto` that believes slowly and shows little."""

from __future__ import annotations

import numpy as np
import pytest

from engines.errors import ConfigError, EngineMismatch
from engines.motion.expression import (
    ALIASES,
    AUTO_ANGER,
    AUTO_STRENGTH,
    EMOTIONS,
    EXPRESSION_STATE,
    LOOKS,
    OWN_SMILE,
    PLAY_LOWER,
    PLAY_UPPER,
    STRENGTH,
    WANTED,
    head_energy,
    mood_calibration,
    mood_prior,
    mood_scale,
    mouth_energy,
    parse_emotion,
    prototype,
    step_expression,
)
from engines.spec import MOTION_CHANNELS

AT = {name: i for i, name in enumerate(MOTION_CHANNELS)}


def hear(emotion: str, logits: np.ndarray, presence: np.ndarray) -> np.ndarray:
    """(K, 25) of a voice with these logits (K, 7) and presence (K,)."""
    state, targets = np.zeros(EXPRESSION_STATE), parse_emotion(emotion).targets()
    targets[1:WANTED] = 0  # any mood as likely as another
    out = np.zeros((len(logits), len(MOTION_CHANNELS)))
    for k in range(len(logits)):
        step_expression(state, targets, logits[k], presence[k], out[k])
    return out


def voice(name: str, seconds: float, certainty: float = 4.0) -> np.ndarray:
    logits = np.zeros((int(seconds * 50), 7))
    logits[:, EMOTIONS.index(name)] = certainty
    return logits


@pytest.mark.parametrize(
    ("text", "look", "strength"),
    [
        ("happy:0.5", "happiness", 0.5),
        ("Smile:1", "happiness", 1.0),
        (" frown:0 ", "frown", 0.0),
        ("sadness:.25", "sadness", 0.25),
    ],
)
def test_names_aliases_and_strengths(text, look, strength):
    emotion = parse_emotion(text)
    assert (emotion.auto, emotion.look, emotion.strength) == (False, look, strength)


def test_every_alias_leads_to_a_look():
    for name in (*LOOKS, *ALIASES):
        assert parse_emotion(name).look in LOOKS
    assert parse_emotion("auto").auto
    assert not parse_emotion("off").targets()[:OWN_SMILE].any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hapy", "happy"),
        ("anget", "anger"),
        ("xyzzy", "one of"),
        ("happy:2", "between 0 and 1"),
        ("happy:-0.1", "between 0 and 1"),
        ("happy:nan", "between 0 and 1"),
        ("happy:", "between 0 and 1"),
        ("happy:much", "between 0 and 1"),
        ("auto:0.5", "takes no strength"),
        ("", "one of"),
    ],
)
def test_what_cannot_be_says_what_can(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_emotion(text)


@pytest.mark.parametrize("look", LOOKS)
def test_no_prototype_parts_the_lips(look):
    code = prototype(look)
    assert code[AT["jawOpen"]] == code[AT["mouthOpenSide"]] == 0
    # Heights and thicknesses of the lips add up to the gap: so must a look's, to nothing.
    gap = code[AT["mouthUpperUp"]] + code[AT["mouthLowerDown"]]
    gap += code[AT["mouthRollUpper"]] + 0.76 * code[AT["mouthRollLower"]]
    assert abs(gap) < 0.002


def test_prototypes_are_told_apart_and_do_what_they_say():
    codes = {look: prototype(look) for look in LOOKS}
    assert not codes["neutral"].any()
    assert codes["happiness"][AT["mouthSmileLeft"]] > 0.04 > 0 > codes["sadness"][AT["mouthSmileLeft"]]
    assert codes["anger"][AT["browInnerUp"]] < 0 < codes["sadness"][AT["browInnerUp"]]
    assert codes["fear"][AT["browOuterUp"]] > 0.02
    assert codes["disgust"][AT["noseSneer"]] > 0.5
    assert codes["boredom"][AT["eyeBlinkLeft"]] > 0.2
    for one in LOOKS[1:]:
        for other in LOOKS[1:]:
            if one != other:
                assert np.abs(codes[one] - codes[other]).max() > 0.02


def test_a_chosen_look_comes_within_a_second_without_a_jump():
    out = hear("happy:0.8", voice("anger", 3), np.zeros(150))
    smile = out[:, AT["mouthSmileLeft"]]
    assert smile[50] == pytest.approx(0.8 * prototype("happiness")[AT["mouthSmileLeft"]], rel=0.05)
    assert np.abs(np.diff(smile)).max() < 0.1 * smile[-1]
    assert (out[:, AT["browDown"]] <= 0).all()  # the angry voice does nothing


def played(strength: float, upper: float, lower: float) -> np.ndarray:
    """Happiness of this strength as the face shows it when it is played with by these shares, of the prototype."""
    state, targets = np.zeros(EXPRESSION_STATE), parse_emotion(f"happy:{strength}").targets()
    state[STRENGTH:] = targets[WANTED:OWN_SMILE]
    state[PLAY_UPPER], state[PLAY_LOWER] = upper, lower
    out = np.zeros(len(MOTION_CHANNELS))
    step_expression(state, targets, np.zeros(7), 0.0, out)
    return (
        out[[AT["eyeSquint"], AT["mouthSmileLeft"]]] / prototype("happiness")[[AT["eyeSquint"], AT["mouthSmileLeft"]]]
    )


def test_upper_and_lower_face_play_apart_and_no_further_than_a_tenth_past_the_prototype():
    assert played(0.6, 0, 0) == pytest.approx([0.6, 0.6])
    assert played(0.6, 0.25, -0.4) == pytest.approx([0.75, 0.36])
    assert played(1, 0.25, 0.25) == pytest.approx([1.1, 1.1])
    for strength in np.linspace(0.01, 1, 25):
        assert played(strength, 0.25, 0.25).max() <= 1.1 + 1e-9
    assert played(0, 0.25, 0.25) == pytest.approx([0, 0])


def test_moods_move_head_and_mouth_further_or_less():
    def energies(**strengths: float) -> tuple[float, float]:
        state = np.zeros(EXPRESSION_STATE)
        for look, strength in strengths.items():
            state[STRENGTH + LOOKS.index(look)] = strength
        return head_energy(state), mouth_energy(state)

    assert energies() == energies(surprise=1) == energies(frown=1) == (1, 1)
    assert energies(anger=1) == energies(fear=1) == pytest.approx((1.6, 1.3))
    assert energies(happiness=0.5) == pytest.approx((1.3, 1))
    assert energies(disgust=0.5) == pytest.approx((1, 1.15))
    assert energies(sadness=1) == energies(boredom=1) == pytest.approx((0.7, 1))


def test_speech_takes_part_of_the_mouth_back_but_not_of_the_brows():
    still = hear("sadness", voice("neutral", 3), np.zeros(150))[-1]
    spoken = hear("sadness", voice("neutral", 3), np.ones(150))[-1]
    assert 0.85 < spoken[AT["mouthSmileLeft"]] / still[AT["mouthSmileLeft"]] < 0.95  # who chose it wants it seen
    assert spoken[AT["browInnerUp"]] == pytest.approx(still[AT["browInnerUp"]])
    out = hear("auto", voice("sadness", 12), np.ones(600))[-1]
    mouth, brow = (out[AT[name]] / prototype("sadness")[AT[name]] for name in ("mouthSmileLeft", "browInnerUp"))
    assert 0.5 < mouth / brow < 0.8


def test_auto_follows_a_sure_voice_modestly():
    out = hear("auto", voice("anger", 8), np.ones(400))
    brow = out[:, AT["browDown"]] / prototype("anger")[AT["browDown"]]
    assert brow[:20].max() < 0.01  # not from the first syllable
    assert 0.35 < brow[-1] <= AUTO_STRENGTH + 1e-9
    assert np.abs(np.diff(brow)).max() < 0.02


def test_one_angry_sentence_is_long_enough():
    """Of 27 of a second and a half to four, eleven had shown nothing."""
    brow = hear("auto", voice("anger", 2), np.ones(100))[:, AT["browDown"]] / prototype("anger")[AT["browDown"]]
    assert brow[85] > 0.1


def test_auto_shows_nothing_unsure_neutral_or_unheard():
    unsure = hear("auto", np.zeros((500, 7)), np.ones(500))
    neutral = hear("auto", voice("neutral", 10), np.ones(500))
    unheard = hear("auto", voice("anger", 10), np.full(500, 0.3))  # noise that pulses
    assert not unsure.any()
    assert not neutral.any()
    assert not unheard.any()


def test_auto_does_not_flutter_between_two_moods():
    random = np.random.default_rng(0)
    logits = np.zeros((1500, 7))
    logits[:, 1], logits[:, 5] = 1.2, 1.2
    logits[:, (1, 5)] += random.normal(0, 3, (1500, 2))
    out = hear("auto", logits, np.ones(1500))
    shown = np.sign(np.round(out[:, AT["browDown"]] + out[:, AT["mouthSmileLeft"]], 3))
    assert np.abs(np.diff(shown)).sum() <= 6


def test_auto_lets_go_in_silence():
    logits = voice("happiness", 20)
    presence = np.ones(1000)
    presence[400:] = 0
    smile = hear("auto", logits, presence)[:, AT["mouthSmileLeft"]]
    assert smile[399] > 0.015
    assert smile[-1] < 0.2 * smile[399]


def test_auto_takes_up_a_smile_sooner_than_a_scowl():
    """As sure of the one as of the other, at .7: the smile comes, the scowl doesn't; a sure scowl stays a small one."""
    others = np.log(6 * 0.7 / 0.3) / mood_scale()
    smile = hear("auto", voice("happiness", 12, others), np.ones(600))[:, AT["mouthSmileLeft"]]
    scowl = hear("auto", voice("anger", 12, others), np.ones(600))[:, AT["browDown"]]
    assert smile[-1] > 0.3 * AUTO_STRENGTH * prototype("happiness")[AT["mouthSmileLeft"]]
    assert not scowl.any()
    sure = hear("auto", voice("anger", 12), np.ones(600))[:, AT["browDown"]] / prototype("anger")[AT["browDown"]]
    assert sure.max() <= AUTO_ANGER + 1e-9


def test_laughter_smiles_wholly_and_soon_and_happy_talk_by_half():
    smile = prototype("happiness")[AT["eyeSquint"]]
    laughs = hear("auto", voice("happiness", 4), np.ones(200))[:, AT["eyeSquint"]] / smile
    assert laughs[15:].any()
    assert not laughs[:10].any()  # not from the first call
    assert laughs[75] > 0.6  # a second and a half in
    assert laughs[-1] > 0.95
    assert np.abs(np.diff(laughs)).max() < 0.06
    fairly = np.log(6 * 0.62 / 0.38) / mood_scale()
    talks = hear("auto", voice("happiness", 12, fairly), np.ones(600))[:, AT["eyeSquint"]] / smile
    assert 0 < talks[-1] <= AUTO_STRENGTH


def test_auto_knows_that_most_talk_is_neutral():
    """A voice that may be sad and may be calm shows nothing, and a smile comes easier than a scowl."""
    shift = mood_prior()
    assert shift.shape == (7,)
    assert shift[0] == 0
    assert shift[EMOTIONS.index("anger")] < shift[EMOTIONS.index("happiness")]
    targets = parse_emotion("auto").targets()
    assert np.array_equal(targets[1:WANTED], shift)
    assert targets[0] == mood_scale() > 0
    state, out = np.zeros(EXPRESSION_STATE), np.zeros(25)
    logits = voice("sadness", 10, certainty=2.0 / mood_scale())
    for k in range(len(logits)):
        step_expression(state, targets, logits[k], 1.0, out)
    assert not out.any()


def test_a_damaged_prior_says_so(monkeypatch, tmp_path):
    (tmp_path / "weights").mkdir()
    mood_calibration.cache_clear()
    monkeypatch.setattr("engines.motion.expression.files", lambda package: tmp_path)
    whole = '"log_prior_shift": [0, 0, 0, 0, 0, 0, 0]'
    for content in (
        "",
        "{}",
        "[]",
        "{" + whole + "}",
        '{"logit_scale": 1, "log_prior_shift": [0, 1]}',
        '{"logit_scale": 1, "log_prior_shift": [0, 0, 0, 0, 0, 0, NaN]}',
        '{"logit_scale": 0, ' + whole + "}",
        '{"logit_scale": NaN, ' + whole + "}",
    ):
        (tmp_path / "weights" / "moods.json").write_text(content)
        with pytest.raises(EngineMismatch, match=r"moods\.json is damaged"):
            mood_prior()
