"""Emotion on the face: prototypes in motion channels, chosen by the user or read from the voice.

The prototypes are FACS descriptions (Ekman & Friesen 1978) in this project's units. Their numbers are measured
(train/motion/shapes.py makes docs/reports/shapes.md): the smile is that of the 37 of 82 real people who smile with shut
lips, its corners lifted as by those who really smile (docs/decisions.md); the others are sums of ARKit shapes as
rendered heads show them. The mouth's part of every prototype keeps the gap between the lips as it is: no opening, and
as far as one lip rises, the other follows.

    choice = parse_emotion("happy:0.5")
    step_expression(state, choice_vector, logits, presence, out)   # numba, in place; engines/shaper.py calls it
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numba
import numpy as np

from engines.errors import ConfigError, EngineMismatch
from engines.motion.idle import CODE_S, PLAY_MOST
from engines.ramps import share_of
from engines.spec import EMOTIONS, MOTION_CHANNELS

# Strength 1 of each. Lengths in eye distances, lids -0.2 (wide) to 1 (shut), squint 0..1, head in rad.
PROTOTYPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {  # AU 6 + 12
        "mouthStretch": 0.133,
        "mouthFunnel": -0.034,
        "mouthUpperUp": 0.032,
        "mouthLowerDown": -0.032,
        "mouthSmileLeft": 0.086,
        "mouthSmileRight": 0.086,
        "jawDrop": 0.004,
        "browOuterUp": 0.004,
        "eyeSquint": 0.45,
        "headPitch": 0.010,
    },
    "sadness": {  # AU 1 + 4 + 15
        "browInnerUp": 0.039,
        "browOuterUp": 0.002,
        "browDown": 0.010,
        "mouthSmileLeft": -0.044,
        "mouthSmileRight": -0.044,
        "mouthUpperUp": -0.012,
        "mouthLowerDown": 0.012,
        "mouthFunnel": 0.012,
        "eyeBlinkLeft": 0.12,
        "eyeBlinkRight": 0.12,
        "headPitch": -0.045,
        "headRoll": 0.02,
    },
    "anger": {  # AU 4 + 5 + 7 + 23
        "browInnerUp": -0.036,
        "browOuterUp": -0.020,
        "browDown": 0.028,
        "eyeSquint": 0.30,
        "noseSneer": 0.25,
        "mouthRollUpper": 0.014,
        "mouthRollLower": 0.018,
        "mouthUpperUp": -0.014,
        "mouthLowerDown": -0.014,
        "mouthSmileLeft": -0.016,
        "mouthSmileRight": -0.016,
        "mouthStretch": -0.010,
        "headPitch": -0.025,
    },
    "disgust": {  # AU 9 + 10 + 17
        "noseSneer": 0.70,
        "browInnerUp": -0.032,
        "browOuterUp": -0.014,
        "browDown": 0.010,
        "eyeSquint": 0.40,
        "mouthUpperUp": 0.026,
        "mouthLowerDown": -0.026,
        "mouthSmileLeft": -0.012,
        "mouthSmileRight": -0.012,
        "headPitch": 0.020,
        "headYaw": 0.03,
    },
    "fear": {  # AU 1 + 2 + 4 + 5 + 20
        "eyeBlinkLeft": -0.15,
        "eyeBlinkRight": -0.15,
        "browInnerUp": 0.062,
        "browOuterUp": 0.040,
        "browDown": 0.012,
        "mouthStretch": 0.055,
        "mouthFunnel": -0.010,
        "mouthSmileLeft": -0.016,
        "mouthSmileRight": -0.016,
        "headPitch": 0.020,
    },
    "boredom": {
        "eyeBlinkLeft": 0.26,
        "eyeBlinkRight": 0.26,
        "browInnerUp": -0.006,
        "browOuterUp": -0.006,
        "mouthSmileLeft": -0.016,
        "mouthSmileRight": -0.016,
        "headPitch": -0.020,
        "headRoll": 0.045,
    },
    # Looks that a user can choose and no voice is read as.
    "frown": {
        "browInnerUp": -0.024,
        "browOuterUp": -0.014,
        "browDown": 0.026,
        "eyeSquint": 0.18,
        "mouthSmileLeft": -0.040,
        "mouthSmileRight": -0.040,
        "mouthUpperUp": -0.008,
        "mouthLowerDown": 0.008,
        "headPitch": -0.020,
    },
    "surprise": {  # AU 1 + 2 + 5; the jaw stays with the voice
        "eyeBlinkLeft": -0.17,
        "eyeBlinkRight": -0.17,
        "browInnerUp": 0.066,
        "browOuterUp": 0.060,
        "mouthStretch": -0.015,
        "headPitch": 0.025,
    },
}
ALIASES = {
    "angry": "anger",
    "annoyed": "anger",
    "mad": "anger",
    "bored": "boredom",
    "tired": "boredom",
    "disgusted": "disgust",
    "afraid": "fear",
    "scared": "fear",
    "worried": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "smile": "happiness",
    "friendly": "happiness",
    "sad": "sadness",
    "unhappy": "sadness",
    "surprised": "surprise",
    "calm": "neutral",
    "none": "off",
}
DEFAULT_STRENGTH = 0.8  # of a name given alone: clear in a small video window, still a face one would make
AUTO_STRENGTH = 0.5  # most that `auto` shows, but for laughter
AUTO_ANGER = 0.4  # and of anger: a scowl by mistake costs more than one that is missing
ATTACK_S, RELEASE_S = 0.7, 1.6
SMILE_S = 0.35  # a smile's attack by `auto`
CHOICE_S = 0.25  # a choice of the user's shows at once, without a jump
EVIDENCE_S = 0.8  # the voice is heard this long, of speech, before a mood is believed
BELIEVED = (0.5, 0.8)  # presence between which it is heard: pulsing noise alone, of .25, smiled
LAUGHTER_S = 0.6  # and before it is taken for happy: a laugh is short, and a smile by mistake costs little
# Belief in happiness from which `auto` shows more of it than of other moods, and at which it shows all: laughter comes
# to .9, acted happiness to .8, and who laughs with an unmoved face is no sight that anybody knows.
LAUGHING = (0.65, 0.90)
# Mean probability at which `auto` takes a mood up, in the order of EMOTIONS, and at which it lets any go. By sound a
# happy voice is an angry one's neighbour: of the two the smile is shown sooner, the scowl only when there is no doubt.
ENTER = np.array([1.0, 0.75, 0.70, 0.70, 0.70, 0.55, 0.65])
LEAVE = 0.40
# Share of the mouth's part while somebody speaks, for articulation needs the lips: of a look that the user chose, who
# means it to be seen, and of one that `auto` shows.
SPEAKING_MOUTH, SPEAKING_MOUTH_AUTO = 0.90, 0.65
MOST_SHOWN = 1.1  # of a prototype, however lively
# Who is excited moves the head and opens the mouth further, who is sad or bored moves it less: shares at strength 1.
HEAD_EXCITED, HEAD_DULL, MOUTH_EXCITED = 0.6, 0.3, 0.30
# Jaws that open pull the corners down; a smile holds them, or nobody would see it on somebody who speaks.
CORNERS_HELD = 0.6

LOOKS = EMOTIONS + tuple(name for name in PROTOTYPES if name not in EMOTIONS)  # rows of the table
_TABLE = np.zeros((len(LOOKS), len(MOTION_CHANNELS)))
for _row, _look in enumerate(LOOKS):
    for _name, _value in PROTOTYPES[_look].items():
        _TABLE[_row, MOTION_CHANNELS.index(_name)] = _value
_MOST = np.full(len(LOOKS), AUTO_STRENGTH)
_MOST[LOOKS.index("anger")] = AUTO_ANGER
_MOUTH = np.array([name.startswith(("mouth", "jaw")) for name in MOTION_CHANNELS])

# State: [0] chosen mood of `auto` (0 neutral), [1] how far somebody speaks, [2] how far the user has chosen the look,
# [3:5] by what share looks are shown above their strength by the upper and the lower face (given from outside: the idle
# process plays with them; 0 is still), [5] how much further smiles go than most people's, [6:13] believed
# probabilities, [13:] strength now of each look.
CHOSEN, SPEAKING, MEANT, PLAY_UPPER, PLAY_LOWER, BROADER, BELIEF = range(7)
STRENGTH = BELIEF + len(EMOTIONS)
ANGER, BOREDOM, DISGUST, FEAR, HAPPINESS, SADNESS = range(1, 7)
EXPRESSION_STATE = STRENGTH + len(LOOKS)
WANTED = 1 + len(EMOTIONS)  # in what `Emotion.targets` gives: where the strengths begin
OWN_SMILE = WANTED + len(LOOKS)  # and where the factor of the smile lies


@dataclass(frozen=True, slots=True)
class Emotion:
    """What the user chose: `auto`, or a look with a strength 0..1 (`off` is neutral with strength 0)."""

    auto: bool
    look: str
    strength: float

    def targets(self, own_smile: float = 1.0) -> np.ndarray:
        """(9 + looks,) float64 for `step_expression`: what logits are worth to auto (0: not auto), the moods' prior,
        the strength wanted of each; how far this person's smile goes, the prototype's being 1."""
        wanted = np.zeros(OWN_SMILE + 1)
        wanted[OWN_SMILE] = own_smile
        if self.auto:
            wanted[0] = mood_scale()
            wanted[1:WANTED] = mood_prior()
        else:
            wanted[WANTED + LOOKS.index(self.look)] = self.strength
        return wanted


@lru_cache(maxsize=1)
def mood_calibration() -> tuple[float, np.ndarray]:
    """What emotion_logits are multiplied by, and what is added to them then, (7,).

    The encoder was taught on actors; people in calls are mostly calm. train/motion/moods.py fits both numbers to how
    the encoder hears actors and speech that shows no mood, at the odds of everyday talk (engines/weights/moods.json).
    EngineMismatch where the file is damaged.
    """
    try:
        figures = json.loads((files("engines") / "weights" / "moods.json").read_text())
        scale, prior = float(figures["logit_scale"]), np.array(figures["log_prior_shift"], float)
        if prior.shape != (len(EMOTIONS),) or not np.isfinite(prior).all():
            raise ValueError("not seven numbers")
        if not 0 < scale < 100:
            raise ValueError("a scale that is none")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineMismatch(f"engines/weights/moods.json is damaged ({error})", "install voxcam again") from error
    return scale, prior


def mood_prior() -> np.ndarray:
    """What to add to the scaled emotion_logits, (7,); neutral 0."""
    return mood_calibration()[1]


def mood_scale() -> float:
    """What to multiply emotion_logits by."""
    return mood_calibration()[0]


def parse_emotion(text: str) -> Emotion:
    """`off`, `auto`, `NAME` or `NAME:STRENGTH`; ConfigError with the nearest name, or the range, for anything else."""
    name, colon, strength_text = text.strip().lower().partition(":")
    name = ALIASES.get(name, name)
    if name in ("off", "auto"):
        if colon:
            raise ConfigError(f"emotion {name} takes no strength", f"write --emotion {name}")
        return Emotion(name == "auto", "neutral", 0.0)
    if name not in LOOKS:
        known = ("off", "auto", *LOOKS, *ALIASES)
        nearest = difflib.get_close_matches(name, known, 1, cutoff=0.5)
        hint = f"did you mean {nearest[0]}?" if nearest else "use off, auto or one of " + ", ".join(LOOKS)
        raise ConfigError(f"no emotion is called {name!r}", hint)
    try:
        strength = float(strength_text) if colon else DEFAULT_STRENGTH
    except ValueError:
        strength = float("nan")
    if not 0 <= strength <= 1:
        raise ConfigError(f"emotion strength {strength_text!r} is not between 0 and 1", f"write {name}:0.5")
    return Emotion(False, name, strength)


def prototype(look: str) -> np.ndarray:
    """The look at strength 1, (26,) float64 in MOTION_CHANNELS; neutral is zeros."""
    return _TABLE[LOOKS.index(look)].copy()


@numba.njit(cache=True)
def step_expression(
    state: np.ndarray, targets: np.ndarray, logits: np.ndarray, presence: float, out: np.ndarray
) -> None:
    """One code: move the strengths towards what is wanted and add the looks to `out` (26,); all in place, float64.

    `auto` believes the voice only while it speaks and only what it has said for a second; it shows one mood at a time,
    half strength at most but for laughter, and lets go of it in silence. logits (7,) in the order of EMOTIONS.
    """
    scale = targets[0]
    state[SPEAKING] += (presence - state[SPEAKING]) * CODE_S / 0.15
    most = -1e30
    for i in range(7):
        most = max(most, scale * logits[i] + targets[1 + i])
    total = 0.0
    for i in range(7):
        total += np.exp(scale * logits[i] + targets[1 + i] - most)
    rate = CODE_S / EVIDENCE_S * share_of(presence, BELIEVED[0], BELIEVED[1])
    for i in range(7):
        sooner = EVIDENCE_S / LAUGHTER_S if i == HAPPINESS else 1.0
        likely = np.exp(scale * logits[i] + targets[1 + i] - most) / total
        state[BELIEF + i] += (likely - state[BELIEF + i]) * rate * sooner
        state[BELIEF + i] *= 1 - CODE_S / 4.0 * (1 - presence)  # a mood fades when nobody speaks
    chosen = int(state[CHOSEN])
    if chosen > 0 and state[BELIEF + chosen] < LEAVE:
        chosen = 0
    for i in range(1, 7):
        if state[BELIEF + i] > ENTER[i] and i != chosen and state[BELIEF + i] > state[BELIEF + chosen] + 0.1:
            chosen = i
    state[CHOSEN] = chosen

    state[MEANT] += ((0.0 if targets[0] > 0 else 1.0) - state[MEANT]) * CODE_S / CHOICE_S
    state[BROADER] += (targets[OWN_SMILE] - 1 - state[BROADER]) * CODE_S / CHOICE_S
    speaking_mouth = SPEAKING_MOUTH_AUTO + (SPEAKING_MOUTH - SPEAKING_MOUTH_AUTO) * state[MEANT]
    for look in range(len(_TABLE)):
        wanted = targets[WANTED + look]
        if targets[0] > 0:
            wanted = _MOST[look] * min(1.0, state[BELIEF + chosen] / 0.9) if look == chosen and chosen > 0 else 0.0
            if look == HAPPINESS and look == chosen:
                sure = share_of(state[BELIEF + look], LAUGHING[0], LAUGHING[1])
                wanted += sure * (1.0 - wanted)
        strength = state[STRENGTH + look]
        tau = (SMILE_S if look == HAPPINESS else ATTACK_S) if wanted > strength else RELEASE_S
        if targets[0] == 0:
            tau = CHOICE_S * (1 + state[BROADER] if look == HAPPINESS else 1.0)  # what goes further takes longer
        strength += (wanted - strength) * CODE_S / tau
        state[STRENGTH + look] = strength
        if strength > 1e-4:
            room = min(1.0, (MOST_SHOWN / strength - 1) / PLAY_MOST)
            face = strength * (1 + room * state[PLAY_UPPER])
            mouth = strength * (1 + room * state[PLAY_LOWER]) * (1 - (1 - speaking_mouth) * state[SPEAKING])
            if look == HAPPINESS:
                mouth *= 1 + state[BROADER]
            for c in range(len(out)):
                out[c] += _TABLE[look, c] * (mouth if _MOUTH[c] else face)


@numba.njit(cache=True)
def head_energy(state: np.ndarray) -> float:
    """Factor of what the head does by itself, by the looks shown now: 1 without any, up to 1.6, down to .7."""
    shown = state[STRENGTH:]
    return (1 + HEAD_EXCITED * max(shown[ANGER], shown[FEAR], shown[HAPPINESS])) * (
        1 - HEAD_DULL * max(shown[BOREDOM], shown[SADNESS])
    )


@numba.njit(cache=True)
def corners_given(state: np.ndarray) -> float:
    """How far an opening mouth pulls its corners down, by the smile shown now: 1 without one."""
    return 1 - CORNERS_HELD * min(1.0, state[STRENGTH + HAPPINESS])


@numba.njit(cache=True)
def mouth_energy(state: np.ndarray) -> float:
    """Factor of what the mouth does in speech, by the looks shown now: 1 to 1.3."""
    shown = state[STRENGTH:]
    return 1 + MOUTH_EXCITED * max(shown[ANGER], shown[DISGUST], shown[FEAR])
