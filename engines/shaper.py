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
from engines.motion.idle import BLINK_LEFT, C_UNEVEN, IDLE_STATE, PLAY, Idle, step_idle
from engines.motion.laws import (
    JAW_OPEN,
    LAW_STATE,
    LEVEL,
    LIFE,
    NOISY_SNR_DB,
    OPEN_SIDE,
    SHUT_FROM,
    SHUT_FULL,
    SHUT_GAP,
    SILENT_DB,
    SMILE_LEFT,
    SMILE_RIGHT,
    TOUCH_FROM,
    TOUCH_FULL,
    WITH_OPENING,
    close_lips,
    hush_pauses,
    move_gate,
    move_mouth,
    move_tongue,
    phones_say,
    weigh_presence,
)
from engines.motion.reach import MOUTH, TYPICAL_REACH
from engines.spec import ARTICULATION, MOTION_CHANNELS, SPEC, StreamSpec
from engines.state import State

NO_NUMBERS = ("the encoder gave values that are not numbers", "voxcam engines verify")
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


def _checked(state: State) -> Mapping[str, np.ndarray]:
    """A state's arrays, as the kernels take them, which look at no bounds; StreamError for another version's."""
    arrays = state.arrays
    if (len(arrays["laws"]), len(arrays["mood"]), len(arrays["life"])) != (LAW_STATE, EXPRESSION_STATE, IDLE_STATE):
        raise StreamError("the state is another version's", "begin the stream anew")
    return arrays


@numba.njit(cache=True)
def live(
    life: np.ndarray,
    constants: np.ndarray,
    presence: float,
    rms: float,
    energy: float,
    share: float,
    out: np.ndarray,
) -> None:
    """Idle life on `out` (26,), by this share; presence, rms, energy: as `step_idle` takes them."""
    alive = np.zeros(len(out))
    opening = min(HIGH[JAW_OPEN], max(0.0, out[JAW_OPEN]))
    step_idle(life, constants, presence, min(1.0, rms), opening, energy, alive)
    for lid in (BLINK_LEFT, BLINK_LEFT + 1):
        out[lid] *= 1 - share * max(0.0, alive[lid])  # a blink shuts wide eyes, too
    out[SMILE_LEFT] *= 1 + share * constants[C_UNEVEN]
    out[SMILE_RIGHT] *= 1 - share * constants[C_UNEVEN]
    for c in range(len(out)):
        out[c] += share * alive[c]


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
    lips, teeth, silent, said, height = phones_say(phone_logits)
    presence = weigh_presence(laws, min(1.0, max(0.0, presence)), silent, rms, snr_db)
    gate, hush = move_gate(laws), hush_pauses(laws, silent)
    move_mouth(laws, speech, gate, hush, reach, mouth_energy(mood), out)

    corners = corners_given(mood)
    for c in (SMILE_LEFT, SMILE_RIGHT):
        out[c] = max(out[c], corners * out[c])

    mood[PLAY_UPPER], mood[PLAY_LOWER] = laws[LIFE] * life[PLAY], laws[LIFE] * life[PLAY + 1]
    step_expression(mood, emotion, emotion_logits, presence, out)
    if with_life or laws[LIFE] > 0.001:
        laws[LIFE] += IDLE_FADE * ((1.0 if with_life else 0.0) - laws[LIFE])
        live(life, constants, presence, rms, head_energy(mood), laws[LIFE], out)

    move_tongue(laws, said, height, gate, out)
    close_lips(laws, closing, lips, teeth, gate, with_opening, corners, out)
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
