"""StreamSpec: what one stream is made of. Carried by every checkpoint, ONNX file and engine card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from engines.errors import EngineMismatch

# fmt: off
PHONES = (
    "SIL", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY",
    "F", "G", "HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P",
    "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)
# fmt: on

# Moods that the encoder tells apart, in the order of `emotion_logits`.
EMOTIONS = ("neutral", "anger", "boredom", "disgust", "fear", "happiness", "sadness")

SPEECH_CHANNELS = (
    # Mouth, from sound. Lengths are in eye distances away from the talker's own rest (engines/face/measure.py).
    "jawOpen",  # gap between the inner lips, centre; at least 0
    "jawDrop",  # chin lowered; more than jawOpen where the lips stay shut
    "mouthOpenSide",  # gap between the inner lips, halfway to the corners
    "mouthStretch",  # outer width; negative is a pucker
    "mouthFunnel",  # lips pushed forward
    "mouthUpperUp",  # upper lip raised
    "mouthLowerDown",  # lower lip lowered
    "mouthSmileLeft",  # corner raised; left is the person's own left
    "mouthSmileRight",
    "mouthRollUpper",  # upper lip thinner than at rest
    "mouthRollLower",
    "browInnerUp",
    "browOuterUp",
    "browDown",  # brows drawn together
)
FACE_CHANNELS = (
    # From the idle process and emotion. Lids 0 open .. 1 shut, down to -0.2 wide.
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeSquint",
    "noseSneer",
    "eyeLookX",  # gaze, rad; positive to the person's left
    "eyeLookY",  # positive up
    "headPitch",  # rad; positive looks up
    "headYaw",  # positive to the person's left
    "headRoll",  # positive tilts to the person's left
    "headX",  # head shift, eye distances
    "headY",
)
ARTICULATION = (0.5, 2.0)  # least and most that the mouth may be told to move, 1 being calm talkers (engines/shaper.py)
MODEL_CHANNELS = SPEECH_CHANNELS + FACE_CHANNELS  # what the generator's network and geometry know
MOTION_CHANNELS = (
    *MODEL_CHANNELS,
    # From the phones (engines/motion/laws.py); painted (engines/drawing/mouth.py), so that no weights depend on it.
    "tongueUp",  # tip of the tongue, 0 behind the lower teeth .. 1 at the upper ones
)


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Rates and sizes of one stream.

    Code k covers samples [320 k, 320 (k + 1)) and speaks of the middle of them, t_k = 0.02 k + 0.01 s. With a
    lookahead of L ms the code for t_k is known once sound up to 0.02 (k + 1) s + L has been heard.
    """

    sample_rate_hz: int = 16_000
    window_samples: int = 400
    hop_samples: int = 160
    chunk_hops: int = 2
    mel_bands: int = 80
    content_size: int = 48
    emotion_size: int = 16
    noise_size: int = 16
    speaker_size: int = 16
    lookaheads_ms: tuple[int, ...] = (0, 40, 80)
    phones: tuple[str, ...] = PHONES
    speech_channels: tuple[str, ...] = SPEECH_CHANNELS
    motion_channels: tuple[str, ...] = MODEL_CHANNELS  # 25: what networks know; tongueUp (MOTION_CHANNELS) is painted

    @property
    def chunk_samples(self) -> int:
        return self.hop_samples * self.chunk_hops

    @property
    def chunk_ns(self) -> int:
        return self.chunk_samples * 1_000_000_000 // self.sample_rate_hz

    @property
    def code_s(self) -> float:
        """Time from one code to the next, s."""
        return self.chunk_samples / self.sample_rate_hz

    @property
    def most_ahead(self) -> int:
        """Whole chunks of future sound that the longest lookahead hears."""
        return max(self.lookahead_chunks(ms) for ms in self.lookaheads_ms)

    @property
    def codes_per_second(self) -> float:
        return self.sample_rate_hz / self.chunk_samples

    def lookahead_chunks(self, lookahead_ms: int) -> int:
        """Whole chunks of future sound that a code of this lookahead has heard."""
        return lookahead_ms * self.sample_rate_hz // 1000 // self.chunk_samples

    def lookahead_row(self, lookahead_ms: int) -> int:
        """Row of `content`, `motion` and `phone_logits` that belongs to this lookahead; ValueError if none does."""
        return self.lookaheads_ms.index(lookahead_ms)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> StreamSpec:
        """Read a spec back; EngineMismatch where keys are missing, unknown or of another type."""
        try:
            raw = json.loads(text)
            known = {field.name for field in fields(cls)}
            if set(raw) != known:
                raise ValueError(f"keys differ: {sorted(set(raw) ^ known)}")
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise EngineMismatch(f"unreadable StreamSpec ({error})", "voxcam build-engine") from error


SPEC = StreamSpec()
