"""Encoder: sound in, codes out, one step each 20 ms. All memory is in the state."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType

import numpy as np

from engines.errors import EngineMismatch, StreamError
from engines.opening import open_session
from engines.session import Session
from engines.spec import EMOTIONS, SPEC
from engines.state import State


@dataclass(frozen=True, slots=True)
class Code:
    """What one step says. Row i of content, motion, phone_logits and presence belongs to SPEC.lookaheads_ms[i].

    The arrays are the session's own buffers: the next step overwrites them. `copy` to keep.
    """

    content: np.ndarray  # (3, 48)
    emotion: np.ndarray  # (16,), of the sound up to now
    noise: np.ndarray  # (16,)
    speaker: np.ndarray  # (16,)
    motion: np.ndarray  # (3, 14), SPEECH_CHANNELS in eye distances from rest
    phone_logits: np.ndarray  # (3, 40), SPEC.phones
    presence: np.ndarray  # (3, 1), probability that somebody speaks here
    emotion_logits: np.ndarray  # (7,), neutral anger boredom disgust fear happiness sadness
    snr: np.ndarray  # (1,), dB

    @property
    def snr_db(self) -> float:
        return float(self.snr[0])

    @classmethod
    def silent(cls) -> Code:
        """What is said where nobody speaks."""
        rows = len(SPEC.lookaheads_ms)
        phones = np.zeros((rows, len(SPEC.phones)), np.float32)
        phones[:, SPEC.phones.index("SIL")] = 20.0
        return cls(
            content=np.zeros((rows, SPEC.content_size), np.float32),
            emotion=np.zeros(SPEC.emotion_size, np.float32),
            noise=np.zeros(SPEC.noise_size, np.float32),
            speaker=np.zeros(SPEC.speaker_size, np.float32),
            motion=np.zeros((rows, len(SPEC.speech_channels)), np.float32),
            phone_logits=phones,
            presence=np.zeros((rows, 1), np.float32),
            emotion_logits=np.zeros(len(EMOTIONS), np.float32),
            snr=np.zeros(1, np.float32),
        )

    def copy(self) -> Code:
        return Code(**{item.name: getattr(self, item.name).copy() for item in fields(self)})


class Encoder:
    """encoder.onnx as a stream of codes. One thread at a time; any number of streams, each with its own state."""

    def __init__(self, session: Session) -> None:
        self.session = session
        outputs = session.outputs
        rows = len(SPEC.lookaheads_ms)
        try:
            self._code = Code(
                content=outputs["content"].reshape(rows, SPEC.content_size),
                emotion=outputs["emotion"].reshape(SPEC.emotion_size),
                noise=outputs["noise"].reshape(SPEC.noise_size),
                speaker=outputs["speaker"].reshape(SPEC.speaker_size),
                motion=outputs["motion"].reshape(rows, len(SPEC.speech_channels)),
                phone_logits=outputs["phone_logits"].reshape(rows, len(SPEC.phones)),
                presence=outputs["presence"].reshape(rows, 1),
                emotion_logits=outputs["emotion_logits"].reshape(len(EMOTIONS)),
                snr=outputs["snr_db"].reshape(1),
            )
        except (KeyError, ValueError) as error:
            session.close()
            raise EngineMismatch(f"{session.card.name} is no voxcam encoder ({error})", "use encoder.onnx") from error
        self._samples = session.inputs["samples"]
        self._inputs = {"samples": self._samples}

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def init_state(self) -> State:
        """State before the first sample: zeros."""
        return self.session.init_state()

    def step(self, chunk: np.ndarray, state: State) -> tuple[Code, State]:
        """Take 320 samples, (320,) or (1, 320) float32 in -1..1. The state given is spent.

        Samples that are no numbers would stay in the recurrent state for good: StreamError.
        """
        if chunk.size != self._samples.size:
            raise StreamError(f"a chunk has {SPEC.chunk_samples} samples, not {chunk.size}", "cut chunks of that size")
        np.copyto(self._samples[0], chunk.reshape(-1))
        if not np.isfinite(np.dot(self._samples[0], self._samples[0])):
            raise StreamError("the sound holds samples that are no numbers", "check the microphone's driver")
        _, state = self.session.step(self._inputs, state)
        return self._code, state

    def use(self, session: Session) -> None:
        """Go on with another session of the same model, between two steps; the state is carried over by the next one.

        The session before it is left open.
        """
        session.share_buffers(self.session)
        self.session = session

    def flush(self, state: State, lookahead_ms: int = 80) -> tuple[list[Code], State]:
        """End a stream: the codes still owed at this lookahead, exactly lookahead / 20 ms of them, heard as silence."""
        silence = np.zeros(SPEC.chunk_samples, np.float32)
        codes = []
        for _ in range(SPEC.lookahead_chunks(lookahead_ms)):
            code, state = self.step(silence, state)
            codes.append(code.copy())
        return codes, state

    def close(self) -> None:
        self.session.close()


def open_encoder(
    card: str | Path = "encoder",
    backend: str = "onnxruntime",
    threads: int = 1,
) -> Encoder:
    """Open the shipped encoder, or the one whose card is named; arguments as of `open_session`."""
    return Encoder(open_session(card, backend, threads=threads))
