"""The laws of the mouth: what of the encoder's motion is shown, what shuts the lips, where the tongue goes.

Each law is a kernel that ages its part of the state `laws` (LAW_STATE,) by one code; engines/shaper.py says in which
order they come, and why.
"""

from __future__ import annotations

import numba
import numpy as np

from engines.motion.reach import MOUTH
from engines.ramps import share_of
from engines.spec import MOTION_CHANNELS, SPEC, SPEECH_CHANNELS

JAW_OPEN = MOTION_CHANNELS.index("jawOpen")
OPEN_SIDE, UPPER_UP = MOTION_CHANNELS.index("mouthOpenSide"), MOTION_CHANNELS.index("mouthUpperUp")
SMILE_LEFT, SMILE_RIGHT = MOTION_CHANNELS.index("mouthSmileLeft"), MOTION_CHANNELS.index("mouthSmileRight")
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


@numba.njit(cache=True)
def _towards(value: float, target: float, rise: float, fall: float) -> float:
    """One code on the way to the target, at most this far."""
    return value + min(rise, max(-fall, target - value))


@numba.njit(cache=True)
def phones_say(phone_logits: np.ndarray) -> tuple[float, float, float, float, float]:
    """Posteriors of shut lips, of a lip at the teeth, of silence, of something said of the tongue's tip; its height.

    phone_logits (40,). The height is the sum over phones: divide by the fourth.
    """
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
    return lips / total, teeth / total, silent / total, said / total, height / total


@numba.njit(cache=True)
def weigh_presence(laws: np.ndarray, presence: float, silent: float, rms: float, snr_db: float) -> float:
    """The sound's level, and the gate: wanted open or shut. Returns what is left of the presence.

    silent: posterior of silence; rms of the newest chunk, 1 is full scale.
    """
    level = 20 * np.log10(min(1.0, max(rms, 1e-4))) - SILENT_DB
    laws[LEVEL] += (LEVEL_RISE if level > laws[LEVEL] else LEVEL_SHARE) * (level - laws[LEVEL])
    noise = share_of(laws[LEVEL] + SILENT_DB, QUIET_DB, LOUD_DB) * share_of(snr_db, CLEAN_SNR_DB, NOISY_SNR_DB)
    more = MORE * share_of(snr_db, SOME_SNR_DB, NO_SNR_DB)
    presence *= 1 - noise * share_of(silent, NOISE_SURE[0], NOISE_SURE[1])
    if presence > QUIET_ON + noise * (ON + more - QUIET_ON):
        laws[OPEN] = 1.0
    elif presence < QUIET_OFF + noise * (OFF + more - QUIET_OFF):
        laws[OPEN] = 0.0
    return presence


@numba.njit(cache=True)
def move_gate(laws: np.ndarray) -> float:
    """By what share all that the voice moves is shown, 0..1."""
    laws[GATE] = _towards(laws[GATE], laws[OPEN], GATE_RISE, GATE_FALL)
    return laws[GATE] * laws[GATE] * (3 - 2 * laws[GATE])


@numba.njit(cache=True)
def hush_pauses(laws: np.ndarray, silent: float) -> float:
    """By what share the mouth is shown in a pause of who has spoken: 1 outside of one, down to PAUSE_LEFT."""
    if silent < 0.5 and laws[OPEN] == 1.0:
        laws[VOICE] += (VOICE_SHARE if laws[VOICE] > 0.0 else 1.0) * (laws[LEVEL] - laws[VOICE])
    below = share_of(laws[VOICE] - laws[LEVEL], PAUSE_BELOW_DB[0], PAUSE_BELOW_DB[1])
    pausing = below * share_of(silent, PAUSE_SURE[0], PAUSE_SURE[1])
    laws[PAUSE] = min(laws[PAUSE] + 1.0, PAUSE_FULL) if pausing > 0.5 else 0.0
    laws[HUSH] = _towards(laws[HUSH], pausing * share_of(laws[PAUSE], PAUSE_FROM, PAUSE_FULL), 1.0, PAUSE_BACK)
    return 1 - (1 - PAUSE_LEFT) * laws[HUSH] * laws[HUSH] * (3 - 2 * laws[HUSH])


@numba.njit(cache=True)
def move_mouth(
    laws: np.ndarray, speech: np.ndarray, gate: float, hush: float, reach: np.ndarray, energy: float, out: np.ndarray
) -> None:
    """What the voice moves, into `out` (26,), all else 0: speech (14,) led a little, as far as `reach` (11,) says.

    energy: how much further excited mouths go.
    """
    out[:] = 0.0
    for c in range(SPEECH):
        out[c] = speech[c] * gate
    for c in range(MOUTH):
        out[c] = (speech[c] + LEAD * (speech[c] - laws[BEFORE + c])) * gate * hush * reach[c] * energy
        laws[BEFORE + c] = laws[LAST + c]
        laws[LAST + c] = speech[c]


@numba.njit(cache=True)
def move_tongue(laws: np.ndarray, said: float, height: float, gate: float, out: np.ndarray) -> None:
    """The tongue's tip on its way to where the phones want it; said, height: as `phones_say` gives them."""
    if said > TONGUE_FROM:
        wanted = laws[TIP] + share_of(said, TONGUE_FROM, TONGUE_SURE) * (height / said - laws[TIP])
        laws[TIP] = _towards(laws[TIP], wanted, TONGUE_STEP, TONGUE_STEP)
    out[TONGUE_UP] = laws[TIP] * gate


@numba.njit(cache=True)
def close_lips(
    laws: np.ndarray,
    closing: np.ndarray,
    lips: float,
    teeth: float,
    gate: float,
    with_opening: np.ndarray,
    corners: float,
    out: np.ndarray,
) -> None:
    """p, b, m shut the lips in `out` (26,), f and v bring the lower one to the teeth.

    closing (2, 2): posteriors between which they do; with_opening (26,): how each channel goes with the opening, the
    corners by `corners` of it.
    """
    wanted = share_of(lips, closing[0, 0], closing[0, 1])
    laws[CLOSURE] = _towards(laws[CLOSURE], wanted, CLOSE_RISE, CLOSE_FALL)
    wanted = share_of(teeth, closing[1, 0], closing[1, 1]) * gate
    laws[TOUCH] = _towards(laws[TOUCH], wanted, CLOSE_RISE, CLOSE_FALL)
    touch = laws[TOUCH] * max(0.0, out[JAW_OPEN] - TOUCH_GAP)
    shut = laws[CLOSURE] * max(0.0, out[JAW_OPEN] - touch)
    for c in range(MOUTH):
        given = corners if c in (SMILE_LEFT, SMILE_RIGHT) else 1.0
        out[c] -= (touch + shut) * with_opening[c] * given
    out[UPPER_UP] += laws[TOUCH] * (1 - laws[CLOSURE]) * TOUCH_UPPER
