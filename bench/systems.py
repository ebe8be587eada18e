"""What `voxcam bench robustness` compares: ours, and baselines that move a mouth from sound without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.clips import Clip
from bench.rig import HOP, hops_of
from bench.rows import Row
from engines.encoder import Code, Encoder
from engines.shaper import Shaper
from engines.spec import SPEC, SPEECH_CHANNELS
from realtime.latent_ring import LatentRing
from realtime.messages import AudioHop
from realtime.meters import Meters
from realtime.pipeline import VoiceStage

OPEN = SPEECH_CHANNELS.index("jawOpen")
RIDGE = 3.0
BANDS_HZ = ((80, 500), (500, 1500), (1500, 5000))
Course = Callable[[Clip, np.ndarray], np.ndarray]  # clip, its sound with noise -> (pictures,) opening


@dataclass(frozen=True)
class System:
    """Something that moves a mouth from sound. `course` gives the opening; `motion` all channels where it has them."""

    name: str
    course: Course
    motion: Callable[[Clip, np.ndarray], np.ndarray] | None = None
    deaf: bool = False
    encoder: str = ""  # which of ours
    lookahead_ms: int | None = None

    @property
    def about(self) -> Row:
        ours = {"encoder": self.encoder, "lookahead_ms": self.lookahead_ms} if self.encoder else {}
        return {"system": self.name, **ours}


class Heard:
    """An encoder that hears each sound once for all lookaheads: the codes of the newest sound are kept."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._sound: np.ndarray | None = None
        self._codes: list[Code] = []

    def codes(self, sound: np.ndarray, count: int) -> list[Code]:
        """`count` codes at least, of the sound and the silence after it."""
        if sound is not self._sound or len(self._codes) < count:
            chunks = np.resize(sound, (count, SPEC.chunk_samples))
            chunks.reshape(-1)[len(sound) :] = 0
            self._codes, state = [], self.encoder.init_state()
            for chunk in chunks:
                code, state = self.encoder.step(chunk, state)
                self._codes.append(code.copy())
            self._sound = sound
        return self._codes


class Replay:
    """In an encoder's place: codes that were made before, one a step."""

    def __init__(self, codes: list[Code]) -> None:
        self.codes = codes

    def init_state(self) -> int:
        return 0

    def step(self, chunk: np.ndarray, state: int) -> tuple[Code, int]:
        return self.codes[state], state + 1


def voxcam_system(name: str, heard: Heard, lookahead_ms: int) -> System:
    """Ours: encoder, shaper and latent ring as live; without idle motion and emotion, so that speech alone moves it."""
    shaper = Shaper(SPEC, lookahead_ms=lookahead_ms, idle=False, emotion="off")

    def motion(clip: Clip, sound: np.ndarray) -> np.ndarray:
        ends = picture_ends(clip) + lookahead_ms * SPEC.sample_rate_hz // 1000
        count = int(ends[-1]) // SPEC.chunk_samples + 1
        codes = heard.codes(sound, count + SPEC.most_ahead - SPEC.lookahead_chunks(lookahead_ms))
        ring = LatentRing(capacity=count + 64)
        stage = VoiceStage(Replay(codes), shaper, ring, Meters(), lookahead_ms=lookahead_ms)
        padded = np.zeros(count * SPEC.chunk_samples, np.float32)
        padded[: len(sound)] = sound[: len(padded)]
        for index, hop in enumerate(hops_of(padded)):
            stage.hear(AudioHop(index, hop[:, 0], 0))
        return np.array([ring.at(int(end)) for end in ends])[:, : len(SPEECH_CHANNELS)]

    def opening(clip: Clip, sound: np.ndarray) -> np.ndarray:
        return motion(clip, sound)[:, OPEN]

    return System(f"{name} {lookahead_ms} ms", opening, motion, encoder=name, lookahead_ms=lookahead_ms)


def picture_ends(clip: Clip) -> np.ndarray:
    """Sample at which each picture ends."""
    return np.floor((np.arange(len(clip.motion)) + 1) * SPEC.sample_rate_hz / clip.picture_rate).astype(np.int64)


def others(clips: list[Clip], clip: Clip) -> list[Clip]:
    """Clips of other talkers; where there is one talker only, the other clips."""
    found = [other for other in clips if other.talker != clip.talker]
    return found or [other for other in clips if other is not clip]


def deaf(clips: list[Clip]) -> System:
    def course(clip: Clip, sound: np.ndarray) -> np.ndarray:
        openings = [np.resize(np.nan_to_num(other.motion[:, OPEN]), len(clip.motion)) for other in others(clips, clip)]
        return np.mean(openings, 0)

    return System("deaf", course, deaf=True)


def loudness() -> System:
    def course(clip: Clip, sound: np.ndarray) -> np.ndarray:
        hops = len(sound) // HOP
        power = (sound[: hops * HOP].reshape(hops, HOP) ** 2).mean(1)
        loud = np.log(power + 1e-5)  # in decibels it follows the mouth better than in amplitude
        smoothed, level = np.empty(hops), loud[0]
        for k in range(hops):
            level += 0.3 * (loud[k] - level)
            smoothed[k] = level
        return smoothed[np.clip(picture_ends(clip) // HOP - 1, 0, hops - 1)]

    return System("loudness", course)


def log_mels(sound: np.ndarray, bands: int) -> np.ndarray:
    """Causal log-mel energies, (hops, bands): 25 ms windows that end at their hop."""
    window, size = SPEC.window_samples, 512
    padded = np.concatenate([np.zeros(window - HOP, np.float32), sound])
    hops = len(sound) // HOP
    windows = np.stack([padded[k * HOP : k * HOP + window] for k in range(hops)]) * np.hanning(window)
    power = np.abs(np.fft.rfft(windows, size)) ** 2
    edges = 700 * (10 ** (np.linspace(mel(60), mel(7600), bands + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(size, 1 / SPEC.sample_rate_hz)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.clip(np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)), 0, None)
    return np.log(power @ filters.T + 1e-6)


def mel(hz: float) -> float:
    return 2595 * float(np.log10(1 + hz / 700))


def _taught(name: str, clips: list[Clip], features: Callable[[Clip, np.ndarray], np.ndarray]) -> System:
    """A linear reading of causal features, taught by ridge regression on the other talkers' clean clips."""
    clean = {id(clip): features(clip, clip.sound) for clip in clips}
    readers: dict[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray, float]] = {}

    def reader(clip: Clip) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        teachers = others(clips, clip)
        key = (clip.talker, "" if teachers[0].talker != clip.talker else clip.name)
        if key not in readers:
            x = np.concatenate([clean[id(other)] for other in teachers])
            y = np.concatenate([other.motion[:, OPEN] for other in teachers])
            seen = np.isfinite(y)
            x, y = x[seen], y[seen]
            mean, deviation, centre = x.mean(0), x.std(0) + 1e-6, float(y.mean())
            z = (x - mean) / deviation
            gram = z.T @ z + RIDGE * len(z) / 100 * np.eye(z.shape[1])
            readers[key] = (np.linalg.solve(gram, z.T @ (y - centre)), mean, deviation, centre)
        return readers[key]

    def course(clip: Clip, sound: np.ndarray) -> np.ndarray:
        weights, mean, deviation, centre = reader(clip)
        return (features(clip, sound) - mean) / deviation @ weights + centre

    return System(name, course)


def three_bands(clips: list[Clip]) -> System:
    def features(clip: Clip, sound: np.ndarray) -> np.ndarray:
        window = SPEC.window_samples
        padded = np.concatenate([np.zeros(window, np.float32), sound])
        windows = np.stack([padded[end : end + window] for end in picture_ends(clip).clip(0, len(sound))])
        power = np.abs(np.fft.rfft(windows * np.hanning(window), 512)) ** 2
        frequencies = np.fft.rfftfreq(512, 1 / SPEC.sample_rate_hz)
        return np.stack(
            [np.log(power[:, (frequencies >= low) & (frequencies < high)].sum(1) + 1e-6) for low, high in BANDS_HZ], 1
        )

    return _taught("three bands", clips, features)


def ridge(clips: list[Clip]) -> System:
    def features(clip: Clip, sound: np.ndarray) -> np.ndarray:
        mels = log_mels(sound, 40)
        ends = picture_ends(clip) // HOP
        hops_a_picture = max(1, round(100 / clip.picture_rate))
        rows = []
        for back in range(5):
            stops = np.clip(ends - back * hops_a_picture, 1, len(mels))
            rows.append(np.stack([mels[max(0, stop - hops_a_picture) : stop].mean(0) for stop in stops]))
        return np.concatenate(rows, 1)

    return _taught("ridge", clips, features)
