"""Shaper: one encoder step in, the motion code that the generator draws out. The mouth, emotion, idle life.

Order, and why:

1. What changes is led a little: what an encoder is not sure of it says late and small, where lips are quick. Each of
   the mouth's channels goes as far as this person's does, or most people's (engines/motion/reach.py), and further in
   anger, fear and disgust.
2. Evidence of speech opens and shuts a gate on everything that the voice moves, with hysteresis: in silence, music and
   noise the mouth comes to rest. Two codes to open, six to shut, so that a gap in a word does not flutter. The evidence
   is the encoder's presence. In a quiet or a clean sound little of it will do: it may be the breath before a word, for
   which real mouths open half a second ahead. In a loud and noisy one, by level and by the encoder's SNR, more is
   wanted; and where its phone is silence beyond doubt it is nothing but noise, and the presence counts for nothing.
3. In a pause of who has spoken the lips meet: where the phone is silence and the sound far below the voice, within a
   fifth of a second. The encoder, taught by single sentences with lips that wait apart for their cue, leaves them so.
4. Emotion and the idle process are added. Neither changes the gap between the lips. A smile holds the corners, which an
   opening jaw pulls down. With idle life looks live, too, and one corner goes a little further than the other.
5. The tongue's tip goes where the phones want it; lips' and throat's phones leave it to their neighbours.
6. Lip closure: p, b, m shut the lips, f, v bring the lower lip to the upper teeth. Last, so that it wins over all. What
   shuts the lips undoes the opening along GRID's own regression of each channel on the opening, within the reach: the
   jaw stays half lowered, the lower lip comes up, the upper one comes down a little.
7. Bounds: no negative opening, sides never wider open than the centre, lids a fifth wider than at rest at most.

    shaper = Shaper(lookahead_ms=40, seed=7)
    state = shaper.init_state()
    motion, state = shaper.step(code, state, chunk_rms(chunk))  # (26,) float32; the old state is spent

Nothing is smoothed: the encoder's own jitter is below a real mouth's, and smoothing what is small cost correlation.
All memory is in the state; the row of the lookahead is all that is looked at, so nothing here adds delay or hears more
than the encoder's row did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from threading import Lock

import numba
import numpy as np

from engines.bounds import bounds
from engines.encoder import Code
from engines.errors import ConfigError, StreamError
from engines.motion.expression import (
    BROADER,
    EXPRESSION_STATE,
    MEANT,
    OWN_SMILE,
    PLAY_LOWER,
    PLAY_UPPER,
    STRENGTH,
    WANTED,
    Emotion,
    corners_given,
    head_energy,
    mouth_energy,
    parse_emotion,
    step_expression,
)
from engines.motion.idle import C_UNEVEN, IDLE_STATE, PLAY, SMILE_LEFT, SMILE_RIGHT, Idle, step_idle
from engines.motion.reach import MOUTH, TYPICAL_REACH
from engines.ramps import share_of
from engines.spec import ARTICULATION, MOTION_CHANNELS, SPEC, SPEECH_CHANNELS, StreamSpec
from engines.state import State

JAW_OPEN, JAW_DROP = MOTION_CHANNELS.index("jawOpen"), MOTION_CHANNELS.index("jawDrop")
OPEN_SIDE, UPPER_UP = MOTION_CHANNELS.index("mouthOpenSide"), MOTION_CHANNELS.index("mouthUpperUp")
BLINK_LEFT = MOTION_CHANNELS.index("eyeBlinkLeft")
TONGUE_UP = MOTION_CHANNELS.index("tongueUp")
SPEECH = len(SPEECH_CHANNELS)

# How each channel goes with the opening: least squares over all pictures of nine GRID talkers (train split). The lips'
# heights and thicknesses add up to the gap (jawOpen = up + down + roll upper + 0.76 roll lower, r 1.00); so do these.
WITH_OPENING = np.zeros(len(MOTION_CHANNELS))
WITH_OPENING[:MOUTH] = (1.0, 0.292, 0.730, 0.101, -0.166, 0.165, 0.700, -0.135, -0.131, 0.125, 0.013)

LEAD = 0.15  # of the change over the last two codes, added to the mouth's channels (docs/decisions.md)
ON, OFF = 0.50, 0.30  # presence that opens the gate in a loud and noisy sound, and below which it shuts
QUIET_ON, QUIET_OFF = 0.32, 0.08  # the same in a quiet or a clean one
MORE = 0.15  # what ON and OFF rise by where there is far more noise than voice
QUIET_DB, LOUD_DB = -40.0, -25.0  # level up to which a sound is quiet, and from which it is loud
CLEAN_SNR_DB, NOISY_SNR_DB = 25.0, 12.0  # speech in a quiet room has 28 and more, noise alone 12 and less
SOME_SNR_DB, NO_SNR_DB = 10.0, -5.0  # between these MORE sets in
# Posterior of silence between which a loud and noisy sound is nothing but noise: in babble a voice's own phones come to
# .7 of it, and the face froze.
NOISE_SURE = (0.85, 0.95)
LEVEL_SHARE = 0.2  # of the way down a code: a level is left within 0.1 s
# Up within 50 ms: the SNR is slower, and at once the first codes of a vowel out of quiet would pass for noise, which
# shows them a picture later (p99 from sound to picture 85 ms instead of 65).
LEVEL_RISE = 0.5
GATE_RISE, GATE_FALL = 0.5, 1 / 6  # a code
# A pause: posterior of silence, and how far its level lies below the voice's, between which it counts; codes of it in
# which the mouth goes down to PAUSE_LEFT, and share a code of the way back. Real lips are down to a fifth of their mean
# opening .2 s after a sentence's last word, to a tenth after .4 s (GRID).
PAUSE_SURE, PAUSE_BELOW_DB = (0.70, 0.90), (4.0, 10.0)
PAUSE_FROM, PAUSE_FULL, PAUSE_LEFT, PAUSE_BACK = 2.0, 7.0, 0.15, 0.5
VOICE_SHARE = 0.05  # of the way a code, at which the voice's level is learned
# For lookaheads of 0, 40, 80 ms: posteriors of p, b or m between which the lips shut, which for strangers are seldom
# high (who hears less shuts them for nothing sooner), and of f or v between which the lower lip comes to the teeth (who
# hears more can ask for more).
SHUT_FROM, SHUT_FULL = (0.15, 0.15, 0.10), (0.35, 0.35, 0.30)
TOUCH_FROM, TOUCH_FULL = (0.20, 0.20, 0.30), (0.45, 0.45, 0.60)
CLOSE_RISE, CLOSE_FALL = 0.5, 0.5  # a code: shut, and open again, within 40 ms
SHUT_GAP = 0.002  # median gap that FaceMesh reads on shut lips: a hair line is no opening
TOUCH_GAP = 0.018  # median gap of GRID's lips in f and v at its smallest, eye distances
TOUCH_UPPER = 0.008  # upper lip raised off the teeth in f and v
NO_NUMBERS = ("the encoder gave values that are not numbers", "voxcam engines verify")
# How high the tongue's tip stands: at the upper teeth in th, l, t, d, n, behind them in s and sh; a front vowel lifts
# the blade with it. By phonetics' places of articulation (Ladefoged & Johnson, A Course in Phonetics, 6th ed., 2011,
# chapters 1 and 4); no data here shows tongues. Phones that are not named say nothing of it.
# fmt: off
TONGUE = {
    "TH": 1.0, "DH": 1.0, "L": 1.0, "T": 0.9, "D": 0.9, "N": 0.9, "S": 0.65, "Z": 0.65,
    "CH": 0.6, "JH": 0.6, "SH": 0.5, "ZH": 0.5, "Y": 0.4, "R": 0.35, "ER": 0.3, "IY": 0.3, "IH": 0.25, "EY": 0.25,
    "AY": 0.1, "EH": 0.15, "UH": 0.1, "UW": 0.1, "AE": 0.05, "AH": 0.1, "AA": 0.0, "AO": 0.0, "AW": 0.0, "OW": 0.0,
    "OY": 0.05, "K": 0.1, "G": 0.1, "NG": 0.1, "SIL": 0.1,
}
# fmt: on
TONGUE_STEP = 0.4  # a code: from the floor to the teeth in 50 ms, as fast as tips are
TONGUE_FROM, TONGUE_SURE = 0.1, 0.4  # posterior of phones that say something of it: none, and all their way
IDLE_FADE = 0.06  # of the way a code, when idle life is switched

LOW, HIGH = bounds(
    *(-0.25, 0.30),  # lips and brows
    jawOpen=(0.0, 0.5),
    jawDrop=(-0.1, 0.4),
    mouthOpenSide=(0.0, 0.5),
    eyeBlinkLeft=(-0.2, 1.0),
    eyeBlinkRight=(-0.2, 1.0),
    eyeSquint=(0.0, 1.0),
    noseSneer=(0.0, 1.0),
    eyeLookX=(-0.3, 0.3),
    eyeLookY=(-0.3, 0.3),
    headPitch=(-0.16, 0.16),
    headYaw=(-0.16, 0.16),
    headRoll=(-0.16, 0.16),
    headX=(-0.1, 0.1),
    headY=(-0.1, 0.1),
    tongueUp=(0.0, 1.0),
)

# What each phone says: lips shut, lower lip at the teeth, silence, something of the tongue's tip, and its height.
_LIPS = np.array([float(phone in ("P", "B", "M")) for phone in SPEC.phones])
_TEETH = np.array([float(phone in ("F", "V")) for phone in SPEC.phones])
_SILENT = np.array([float(phone == "SIL") for phone in SPEC.phones])
_SAYS_TIP = np.array([float(phone in TONGUE) for phone in SPEC.phones])
_TIP_HEIGHT = np.array([TONGUE.get(phone, 0.0) for phone in SPEC.phones])

# State of the laws: gate wanted open or shut, its course, closure, touch, idle's share, level above SILENT_DB, the
# tongue's tip, the voice's level above SILENT_DB (0: nobody has spoken), codes of a pause, and how far it shuts lips.
OPEN, GATE, CLOSURE, TOUCH, LIFE, LEVEL, TIP, VOICE, PAUSE, HUSH = range(10)
LAST, BEFORE = 10, 10 + MOUTH  # the mouth's channels one and two codes ago
LAW_STATE = 10 + 2 * MOUTH
SILENT_DB = -80.0


def _checked(state: State) -> Mapping[str, np.ndarray]:
    """A state's arrays, as the kernels take them, which look at no bounds; StreamError for another version's."""
    arrays = state.arrays
    if (len(arrays["laws"]), len(arrays["mood"]), len(arrays["life"])) != (LAW_STATE, EXPRESSION_STATE, IDLE_STATE):
        raise StreamError("the state is another version's", "begin the stream anew")
    return arrays


@numba.njit(cache=True)
def _towards(value: float, target: float, rise: float, fall: float) -> float:
    """One code on the way to the target, at most this far."""
    return value + min(rise, max(-fall, target - value))


@numba.njit(cache=True)
def _step(
    laws: np.ndarray,
    mood: np.ndarray,
    life: np.ndarray,
    constants: np.ndarray,
    emotion: np.ndarray,
    closing: np.ndarray,
    with_life: bool,
    reach: np.ndarray,
    with_opening: np.ndarray,
    speech: np.ndarray,
    phone_logits: np.ndarray,
    presence: float,
    emotion_logits: np.ndarray,
    rms: float,
    snr_db: float,
    out: np.ndarray,
) -> bool:
    """One code, in place: laws, mood, life are the state; closing (2, 2): posteriors that shut lips, let them touch.

    reach (11,): factors of the mouth's channels; with_opening (26,): how each goes with the opening then. out (26,)
    float64. False, with nothing done, for NaN.
    """
    total = presence + rms + snr_db
    for i in range(len(speech)):
        total += speech[i]
    for i in range(len(phone_logits)):
        total += phone_logits[i]
    for i in range(len(emotion_logits)):
        total += emotion_logits[i]
    if not np.isfinite(total):
        return False
    presence = min(1.0, max(0.0, presence))
    most = phone_logits[0]
    for i in range(1, len(phone_logits)):
        most = max(most, phone_logits[i])
    total = lips = teeth = silent = said = height = 0.0
    for i in range(len(phone_logits)):
        likely = np.exp(phone_logits[i] - most)
        total += likely
        lips += likely * _LIPS[i]
        teeth += likely * _TEETH[i]
        silent += likely * _SILENT[i]
        said += likely * _SAYS_TIP[i]
        height += likely * _TIP_HEIGHT[i]
    lips, teeth, silent, said, height = lips / total, teeth / total, silent / total, said / total, height / total

    level = 20 * np.log10(min(1.0, max(rms, 1e-4))) - SILENT_DB
    laws[LEVEL] += (LEVEL_RISE if level > laws[LEVEL] else LEVEL_SHARE) * (level - laws[LEVEL])
    noise = share_of(laws[LEVEL] + SILENT_DB, QUIET_DB, LOUD_DB) * share_of(snr_db, CLEAN_SNR_DB, NOISY_SNR_DB)
    more = MORE * share_of(snr_db, SOME_SNR_DB, NO_SNR_DB)
    presence *= 1 - noise * share_of(silent, NOISE_SURE[0], NOISE_SURE[1])
    if presence > QUIET_ON + noise * (ON + more - QUIET_ON):
        laws[OPEN] = 1.0
    elif presence < QUIET_OFF + noise * (OFF + more - QUIET_OFF):
        laws[OPEN] = 0.0
    laws[GATE] = _towards(laws[GATE], laws[OPEN], GATE_RISE, GATE_FALL)
    gate = laws[GATE] * laws[GATE] * (3 - 2 * laws[GATE])

    if silent < 0.5 and laws[OPEN] == 1.0:
        laws[VOICE] += (VOICE_SHARE if laws[VOICE] > 0.0 else 1.0) * (laws[LEVEL] - laws[VOICE])
    below = share_of(laws[VOICE] - laws[LEVEL], PAUSE_BELOW_DB[0], PAUSE_BELOW_DB[1])
    pausing = below * share_of(silent, PAUSE_SURE[0], PAUSE_SURE[1])
    laws[PAUSE] = min(laws[PAUSE] + 1.0, PAUSE_FULL) if pausing > 0.5 else 0.0
    laws[HUSH] = _towards(laws[HUSH], pausing * share_of(laws[PAUSE], PAUSE_FROM, PAUSE_FULL), 1.0, PAUSE_BACK)
    hush = 1 - (1 - PAUSE_LEFT) * laws[HUSH] * laws[HUSH] * (3 - 2 * laws[HUSH])

    out[:] = 0.0
    for c in range(SPEECH):
        out[c] = speech[c] * gate
    energy = mouth_energy(mood)
    for c in range(MOUTH):
        out[c] = (speech[c] + LEAD * (speech[c] - laws[BEFORE + c])) * gate * hush * reach[c] * energy
        laws[BEFORE + c] = laws[LAST + c]
        laws[LAST + c] = speech[c]

    corners = corners_given(mood)
    for c in (SMILE_LEFT, SMILE_RIGHT):
        out[c] = max(out[c], corners * out[c])

    mood[PLAY_UPPER], mood[PLAY_LOWER] = laws[LIFE] * life[PLAY], laws[LIFE] * life[PLAY + 1]
    step_expression(mood, emotion, emotion_logits, presence, out)
    if with_life or laws[LIFE] > 0.001:
        laws[LIFE] += IDLE_FADE * ((1.0 if with_life else 0.0) - laws[LIFE])
        share = laws[LIFE]
        alive = np.zeros(len(out))
        opening = min(HIGH[JAW_OPEN], max(0.0, out[JAW_OPEN]))
        step_idle(life, constants, presence, min(1.0, rms), opening, head_energy(mood), alive)
        for lid in (BLINK_LEFT, BLINK_LEFT + 1):
            out[lid] *= 1 - share * max(0.0, alive[lid])  # a blink shuts wide eyes, too
        out[SMILE_LEFT] *= 1 + share * constants[C_UNEVEN]
        out[SMILE_RIGHT] *= 1 - share * constants[C_UNEVEN]
        for c in range(len(out)):
            out[c] += share * alive[c]

    wanted = share_of(lips, closing[0, 0], closing[0, 1])
    laws[CLOSURE] = _towards(laws[CLOSURE], wanted, CLOSE_RISE, CLOSE_FALL)
    wanted = share_of(teeth, closing[1, 0], closing[1, 1]) * gate
    laws[TOUCH] = _towards(laws[TOUCH], wanted, CLOSE_RISE, CLOSE_FALL)

    if said > TONGUE_FROM:
        wanted = laws[TIP] + share_of(said, TONGUE_FROM, TONGUE_SURE) * (height / said - laws[TIP])
        laws[TIP] = _towards(laws[TIP], wanted, TONGUE_STEP, TONGUE_STEP)
    out[TONGUE_UP] = laws[TIP] * gate

    touch = laws[TOUCH] * max(0.0, out[JAW_OPEN] - TOUCH_GAP)
    shut = laws[CLOSURE] * max(0.0, out[JAW_OPEN] - touch)
    for c in range(MOUTH):
        given = corners if c in (SMILE_LEFT, SMILE_RIGHT) else 1.0
        out[c] -= (touch + shut) * with_opening[c] * given
    out[UPPER_UP] += laws[TOUCH] * (1 - laws[CLOSURE]) * TOUCH_UPPER
    for c in range(len(out)):
        out[c] = min(HIGH[c], max(LOW[c], out[c]))
    if out[JAW_OPEN] < SHUT_GAP:
        out[JAW_OPEN] = 0.0
    out[OPEN_SIDE] = min(out[OPEN_SIDE], out[JAW_OPEN])
    return True


@numba.njit(cache=True)
def _run(
    laws: np.ndarray,
    mood: np.ndarray,
    life: np.ndarray,
    constants: np.ndarray,
    emotion: np.ndarray,
    closing: np.ndarray,
    with_life: bool,
    reach: np.ndarray,
    with_opening: np.ndarray,
    speech: np.ndarray,
    phone_logits: np.ndarray,
    presence: np.ndarray,
    emotion_logits: np.ndarray,
    rms: np.ndarray,
    snr_db: np.ndarray,
    out: np.ndarray,
) -> bool:
    """K codes: arrays as in `_step` with K rows. False where one was no number."""
    for k in range(len(out)):
        if not _step(
            laws,
            mood,
            life,
            constants,
            emotion,
            closing,
            with_life,
            reach,
            with_opening,
            speech[k],
            phone_logits[k],
            presence[k],
            emotion_logits[k],
            rms[k],
            snr_db[k],
            out[k],
        ):
            return False
    return True


def chunk_rms(chunk: np.ndarray) -> float:
    """Level of a chunk (n,), 1 at full scale, without its mean: some microphones add a constant, which no ear hears."""
    count = len(chunk)
    return math.sqrt(max(0.0, float(np.dot(chunk, chunk)) / count - (float(chunk.sum()) / count) ** 2))


class Shaper:
    """Turns encoder steps into motion codes.

    `idle`, `articulation`, `reach`, `smile` and `choose_emotion` work in a stream, from another thread, too.
    """

    def __init__(
        self,
        spec: StreamSpec = SPEC,
        lookahead_ms: int = 80,
        seed: int = 0,
        idle: bool = True,
        emotion: str | Emotion = "auto",
        articulation: float = 1.0,
        reach: np.ndarray = TYPICAL_REACH,
    ) -> None:
        """lookahead_ms: one of spec.lookaheads_ms; seed: whose blinks and looks; emotion: see `parse_emotion`.

        articulation: how far the mouth moves, within ARTICULATION; reach (11,): how far each of its channels does
        (engines/motion/reach.py). ConfigError for what is not offered.
        """
        if lookahead_ms not in spec.lookaheads_ms:
            known = ", ".join(map(str, spec.lookaheads_ms))
            raise ConfigError(f"no lookahead of {lookahead_ms} ms", f"use one of {known}")
        self.row = spec.lookahead_row(lookahead_ms)
        by_row = zip(SHUT_FROM, SHUT_FULL, TOUCH_FROM, TOUCH_FULL, strict=True)  # the row may change in a stream
        self._closing = np.array([(four[:2], four[2:]) for four in by_row])
        self.idle, self._reach, self.articulation = idle, np.asarray(reach, float), articulation
        self.life, self._smile, self._choosing = Idle(seed), 1.0, Lock()
        self.choose_emotion(emotion)
        self._out = np.zeros(len(MOTION_CHANNELS))
        self.step(Code.silent(), self.init_state(), 0.0)  # the kernel is compiled or loaded now, never in a stream

    @property
    def articulation(self) -> float:
        """How far the mouth moves; lips that shut stay shut, and a mouth at rest at rest."""
        return self._articulation

    @articulation.setter
    def articulation(self, value: float) -> None:
        least, most = ARTICULATION
        if not least <= value <= most:
            raise ConfigError(f"an articulation of {value:g} is not offered", f"use one from {least:g} to {most:g}")
        self._articulation = float(value)
        self._set_moves()

    @property
    def reach(self) -> np.ndarray:
        """How far each of the mouth's channels moves, a person's own (11,); `articulation` comes on top."""
        return self._reach

    @reach.setter
    def reach(self, factors: np.ndarray) -> None:
        self._reach = np.asarray(factors, float)
        self._set_moves()

    @property
    def smile(self) -> float:
        """How far this person's smile goes, most people's being 1 (`Portrait.own_smile`)."""
        return self._smile

    @smile.setter
    def smile(self, factor: float) -> None:
        with self._choosing:
            self._smile = float(factor)
            self._targets = self.emotion.targets(self._smile)

    def _set_moves(self) -> None:
        own = self._reach / TYPICAL_REACH  # with most people's, channels go with the opening as GRID's do
        with_opening = WITH_OPENING.copy()
        with_opening[:MOUTH] *= own / own[JAW_OPEN]
        self._moves = self._reach * self._articulation, with_opening  # at once: the stream's thread may read it

    def choose_emotion(self, emotion: str | Emotion) -> None:
        """Take up another emotion; the face moves there within half a second. ConfigError for an unknown name."""
        chosen = parse_emotion(emotion) if isinstance(emotion, str) else emotion
        with self._choosing:
            self.emotion, self._targets = chosen, chosen.targets(self._smile)

    def init_state(self) -> State:
        """A face at rest at the start of a stream."""
        laws = np.zeros(LAW_STATE)
        laws[LEVEL] = -SILENT_DB  # taken for loud until its level is known
        laws[LIFE] = float(self.idle)
        mood = np.zeros(EXPRESSION_STATE)
        mood[BROADER] = self._smile - 1
        if not self.emotion.auto:
            mood[STRENGTH:] = self._targets[WANTED:OWN_SMILE]  # a chosen look is there from the first picture
            mood[MEANT] = 1.0
        return State({"laws": laws, "mood": mood, "life": self.life.init_state()})

    def step(self, code: Code, state: State, chunk_rms: float) -> tuple[np.ndarray, State]:
        """One encoder step -> (26,) float32 in MOTION_CHANNELS of code k - lookahead / 20 ms, and the state after it.

        chunk_rms: root mean square of the newest chunk's samples, 1 is full scale. The state given is spent. Values
        that are not numbers would stay in the state for good: StreamError.
        """
        arrays = _checked(state)
        whole = _step(
            arrays["laws"],
            arrays["mood"],
            arrays["life"],
            self.life.constants,
            self._targets,
            self._closing[self.row],
            self.idle,
            *self._moves,
            code.motion[self.row],
            code.phone_logits[self.row],
            float(code.presence[self.row, 0]),
            code.emotion_logits,
            float(chunk_rms),  # one type: another would compile a second kernel within the stream
            code.snr_db,
            self._out,
        )
        if not whole:
            raise StreamError(*NO_NUMBERS)
        return self._out.astype(np.float32), state

    def run(
        self,
        speech: np.ndarray,
        phone_logits: np.ndarray,
        presence: np.ndarray,
        emotion_logits: np.ndarray,
        rms: np.ndarray | None = None,
        state: State | None = None,
        snr_db: np.ndarray | None = None,
    ) -> tuple[np.ndarray, State]:
        """A whole course at once, the same as K steps: (K, 14), (K, 40), (K,), (K, 7), (K,) -> (K, 26) float32, state.

        The rows are those of this lookahead. Without a state, from the start of a stream; without snr_db (K,), noisy.
        """
        state = self.init_state() if state is None else state
        arrays = _checked(state)
        out = np.zeros((len(speech), len(MOTION_CHANNELS)))
        whole = _run(
            arrays["laws"],
            arrays["mood"],
            arrays["life"],
            self.life.constants,
            self._targets,
            self._closing[self.row],
            self.idle,
            *self._moves,
            np.ascontiguousarray(speech, np.float32),
            np.ascontiguousarray(phone_logits, np.float32),
            np.ascontiguousarray(presence, np.float64),
            np.ascontiguousarray(emotion_logits, np.float32),
            np.zeros(len(speech)) if rms is None else np.ascontiguousarray(rms, np.float64),
            np.full(len(speech), NOISY_SNR_DB) if snr_db is None else np.ascontiguousarray(snr_db, np.float64),
            out,
        )
        if not whole:
            raise StreamError(*NO_NUMBERS)
        return out.astype(np.float32), state
