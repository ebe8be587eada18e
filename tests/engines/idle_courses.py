"""Courses of the idle process in silence and at a voice, for the tests of what they are and of how people's differ."""

from __future__ import annotations

import numpy as np

from engines.motion.idle import C_FOLLOW, DEGREE, Idle, run_idle
from engines.spec import MOTION_CHANNELS

PITCH, YAW, ROLL = (MOTION_CHANNELS.index(n) for n in ("headPitch", "headYaw", "headRoll"))
BLINKS = [MOTION_CHANNELS.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]
LOOK = [MOTION_CHANNELS.index(n) for n in ("eyeLookX", "eyeLookY")]
MINUTE = 3000  # codes


def voice(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Presence, rms and the lips' opening of sentences of 3 s at four syllables a second with a pause each."""
    seconds = np.arange(count) * 0.02
    talk = ((seconds % 4.0) < 3.0).astype(float)
    syllable = talk * np.clip(np.sin(2 * np.pi * 4.1 * seconds), 0, None)
    opening = 0.2 * np.convolve(syllable, np.ones(3) / 3)[:count]  # lips do not jump
    return talk, 1e-4 + 0.1 * syllable * (0.5 + 0.5 * np.sin(seconds)), opening


def course(
    seed: int, minutes: float, speaks: bool = False, state: np.ndarray | None = None, energy: float = 1.0
) -> np.ndarray:
    """(codes, 26) of silence, or of that voice."""
    idle = Idle(seed)
    count = int(minutes * MINUTE)
    heard = voice(count) if speaks else (np.zeros(count), np.full(count, 1e-4), np.zeros(count))
    out = np.zeros((count, len(MOTION_CHANNELS)))
    run_idle(idle.init_state() if state is None else state, idle.constants, *heard, energy, out)
    return out


def spoken_pitch(seed: int, degrees: float | None = None) -> np.ndarray:
    """Degrees of pitch in five minutes of that voice, with so many an eye distance of opening, or the seed's own."""
    idle = Idle(seed)
    if degrees is not None:
        idle.constants[C_FOLLOW] = degrees * DEGREE
    out = np.zeros((5 * MINUTE, len(MOTION_CHANNELS)))
    run_idle(idle.init_state(), idle.constants, *voice(len(out)), 1.0, out)
    return np.degrees(out[:, PITCH])
