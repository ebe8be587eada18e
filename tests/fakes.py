"""Small engines with the real interfaces, whose codes follow loudness: what they draw says what they heard."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engines.encoder import Code
from engines.motion.reach import TYPICAL_REACH
from engines.spec import MOTION_CHANNELS, SPEC

JAW = MOTION_CHANNELS.index("jawOpen")


@dataclass
class FakeState:
    """The levels of the last five chunks: the row of lookahead L speaks of the chunk L / 20 steps ago."""

    levels: tuple[float, ...] = (0.0,) * 5


class FakeEncoder:
    """jawOpen of each row is the RMS of the chunk that it speaks of."""

    def __init__(self) -> None:
        self.steps = 0
        self.fail_at = -1
        self.nan_at = -1

    def init_state(self) -> FakeState:
        return FakeState()

    def step(self, chunk: np.ndarray, state: FakeState) -> tuple[Code, FakeState]:
        if self.steps == self.fail_at:
            raise RuntimeError("the fake encoder fails")
        level = float(np.sqrt(np.mean(np.square(chunk, dtype=np.float64))))
        levels = (level, *state.levels[:4])
        code = Code.silent()
        for row, lookahead_ms in enumerate(SPEC.lookaheads_ms):
            code.motion[row, JAW] = levels[SPEC.lookahead_chunks(lookahead_ms)]
        if self.steps == self.nan_at:
            code.motion[:] = np.nan
        self.steps += 1
        code.presence[:] = level > 0.01
        code.snr[:] = 20.0
        return code, FakeState(levels)

    def close(self) -> None:
        return


class FakeShaper:
    """Passes the speech channels through."""

    row = 0
    emotion = "auto"
    articulation = 1.0
    reach = TYPICAL_REACH
    smile = 1.0

    def choose_emotion(self, emotion: str) -> None:
        self.emotion = emotion

    def init_state(self) -> int:
        return 0

    def step(self, code: Code, state: int, chunk_rms: float) -> tuple[np.ndarray, int]:
        motion = np.zeros(len(MOTION_CHANNELS), np.float32)
        motion[: len(SPEC.speech_channels)] = code.motion[self.row]
        return motion, state + 1


@dataclass
class FakePortrait:
    """A grey of its own."""

    height: int = 32
    width: int = 48
    grey: int = 0
    reach: np.ndarray = field(default_factory=TYPICAL_REACH.copy)
    own_smile: float = 1.0

    @property
    def photo(self) -> np.ndarray:
        return np.full((self.height, self.width, 3), self.grey, np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


class FakeGenerator:
    """The whole picture is one grey: the portrait's and 400 times the jaw's opening."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, code: np.ndarray, portrait: FakePortrait, out: np.ndarray | None = None) -> np.ndarray:
        if out is None:
            out = np.empty((portrait.height, portrait.width, 3), np.uint8)
        self.drawn += 1
        out[:] = max(0, min(255, portrait.grey + round(400 * float(code[JAW]))))
        return out
