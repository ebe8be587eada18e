"""`voxcam bench robustness`: does the mouth follow speech in noise, and stay shut on noise alone?

Truth: the mouth of the clips, by our own landmarker. Each picture is judged with the sound up to its end, plus the
lookahead; delay counts, since r is taken at lag 0. Beside ours stand baselines that we can make ourselves:

    deaf         the mean course of the other talkers' clips: what can be had without any sound
    loudness     smoothed loudness
    three bands  energies of three bands, combined as fits the other talkers best
    ridge        ridge regression on five pictures of 40 log-mel bands, taught on the other talkers

The last two are taught on clips of the same kind, which favours them.

Several encoders, such as one that was trained without the disentangling terms, hear the same clips in the same noise:
their difference is taken clip by clip, and its standard error is far smaller than that of either figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.clips import LIPS, Clip
from bench.latency import Progress
from bench.rig import HOP, hops_of, read_sound
from bench.rows import Row
from engines.drawing.geometry import load_geometry
from engines.encoder import Code, Encoder, open_encoder
from engines.errors import ConfigError, InputError
from engines.shaper import Shaper
from engines.spec import SPEC, SPEECH_CHANNELS
from realtime.latent_ring import LatentRing
from realtime.messages import AudioHop
from realtime.meters import Meters
from realtime.pipeline import VoiceStage

SNRS_DB = (20.0, 10.0, 5.0, 0.0, -5.0)
SHIPPED = {"voxcam": "encoder"}  # name in the report -> card
RECORDINGS = 12  # noises that are used at least, where the folder has so many; three of each kind at most
SOUNDS = (".wav", ".opus", ".flac", ".ogg", ".mp3", ".m4a", ".aiff")
OPEN = SPEECH_CHANNELS.index("jawOpen")
OPEN_SHARE = 0.25  # of the way from a system's own 5th to its 95th percentile in clean speech: above counts as open
SETTLED_S = 0.3  # of noise, after which openness counts
MOST_LOOKAHEAD_MS = max(SPEC.lookaheads_ms)
RIDGE = 3.0
BANDS_HZ = ((80, 500), (500, 1500), (1500, 5000))
BASELINES = ("deaf", "loudness", "three bands", "ridge", "still photo")
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


def named_encoders(given: Sequence[str]) -> dict[str, str]:
    """NAME=CARD, or CARD alone, as typed -> name -> card; the shipped one where nothing is given."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, card = text.partition("=")
        if not equals or Path(text).exists():
            name, card = Path(text).name.removesuffix(".card.json"), text
            name = "voxcam" if text == "encoder" else name
        if not name or not card:
            raise ConfigError(f"--encoder {text} is not NAME=CARD", "such as --encoder without=runs/encoder.card.json")
        if name in found or name in BASELINES:
            raise ConfigError(f"two systems are called {name!r}", "give each encoder a name of its own: NAME=CARD")
        found[name] = card
    return found or dict(SHIPPED)


def measure_robustness(
    clips: list[Clip],
    lookaheads_ms: tuple[int, ...] = SPEC.lookaheads_ms,
    encoders: Mapping[str, str] = SHIPPED,
    noise: Path | None = None,
    teachers: list[Clip] | None = None,
    emotional: list[Clip] | None = None,
    snrs_db: tuple[float, ...] = SNRS_DB,
    seed: int = 7,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Rows of r (whole clip, in words), lip distance and openness on noise alone, by system and SNR.

    encoders: name in the report -> card. Behind the first one stand rows of what each other one differs from it by.
    teachers: clips to teach the baselines on; the other talkers' clips if left out. emotional: clips whose names tell
    an emotion, for rows of r by emotion; the clips themselves if left out.
    """
    noises = recorded_noises(noise) if noise is not None else made_noises(clips, seed)
    basis = load_geometry()[0][: len(SPEECH_CHANNELS)][:, LIPS]
    random = np.random.default_rng(seed)
    with ExitStack() as stack:
        systems: list[System] = []
        for name, card in encoders.items():
            heard = Heard(stack.enter_context(open_encoder(card)))
            systems += [voxcam_system(name, heard, lookahead) for lookahead in lookaheads_ms]
        systems += [deaf(clips), loudness(), three_bands(teachers or clips), ridge(teachers or clips)]
        scores = [Scores(system) for system in systems]
        for snr_db in (None, *snrs_db):
            progress(f"robustness: {len(clips)} clips {'clean' if snr_db is None else f'at {snr_db:g} dB'}")
            for k, clip in enumerate(clips):
                sound = clip.sound if snr_db is None else mix(clip.sound, noises[k % len(noises)][1], snr_db, random)
                for score in scores:
                    if snr_db is None or not score.system.deaf:
                        score.judge(clip, sound, "clean" if snr_db is None else f"{snr_db:g}", basis)
        progress(f"robustness: {len(noises)} noises with nobody speaking")
        hearing = [score for score in scores if not score.system.deaf]
        alone = _on_noise_alone(hearing, clips, noises, random)
        moods = _by_emotion(systems, emotional or clips)
    rows = [row for score in scores for row in score.rows(len(clips))]
    return [*rows, _static(clips), *_differences(scores), *alone, *moods]


class Scores:
    """What one system scores, clip by clip, for each signal-to-noise ratio."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.lists: dict[tuple[str, str], list[float]] = {}  # (SNR, score) -> a value for each clip
        self.clean: list[np.ndarray] = []  # openings of each clip in clean speech

    def judge(self, clip: Clip, sound: np.ndarray, snr: str, basis: np.ndarray) -> None:
        """Hear one clip and compare with its truth."""
        if self.system.motion is not None:
            motion = self.system.motion(clip, sound)
            guess = motion[:, OPEN]
            self._add(snr, "lip_distance", lip_distance(clip, clip.rest_lips + np.tensordot(motion, basis, 1)))
        else:
            guess = self.system.course(clip, sound)
        if snr == "clean":
            self.clean.append(guess)
        truth = clip.motion[:, OPEN]
        seen = np.isfinite(truth)
        self._add(snr, "r_all", correlation(guess[seen], truth[seen]))
        inside = seen & clip.in_words
        self._add(snr, "r_in_words", correlation(guess[inside], truth[inside]))
        self._add(snr, "swing", float(np.std(guess[inside]) / max(np.std(truth[inside]), 1e-6)))

    def _add(self, snr: str, score: str, value: float) -> None:
        self.lists.setdefault((snr, score), []).append(value)

    @property
    def open_above(self) -> float:
        """The opening that counts as open: a share of the way from shut to wide in clean speech."""
        shut, wide = np.quantile(np.concatenate(self.clean), (0.05, 0.95))
        return float(shut + OPEN_SHARE * (wide - shut))

    def rows(self, clips: int) -> list[Row]:
        found: list[Row] = []
        for snr in dict.fromkeys(snr for snr, _ in self.lists):
            whole, words = self.lists[snr, "r_all"], self.lists[snr, "r_in_words"]
            row: Row = {"measure": "mouth_opening", **self.system.about, "snr_db": snr, "clips": clips}
            row |= {"r_all": _mean(whole), "r_in_words": _mean(words), "r_in_words_error": _error(words)}
            row |= {"r_all_error": _error(whole), "value": _mean(words), "unit": "r"}
            row |= {"value_error": _error(words), "spread": _relative(2 * _error(words), _mean(words))}
            if distances := self.lists.get((snr, "lip_distance")):
                row |= {"lip_distance": _mean(distances), "lip_distance_error": _error(distances)}
                # Deviation over the true one: 1 opens as far as the person does.
                row["swing"] = _mean(self.lists[snr, "swing"])
            found.append(row)
        return found


def _differences(scores: list[Scores]) -> list[Row]:
    """What other encoders differ from the first one by: the first less the other, mean and error over clips."""
    ours = [score for score in scores if score.system.encoder]
    found: list[Row] = []
    for other in ours:
        first = next(score for score in ours if score.system.lookahead_ms == other.system.lookahead_ms)
        if first is other:
            continue
        of = f"{first.system.encoder} less {other.system.encoder}"
        for (snr, name), values in other.lists.items():
            if name == "swing":
                continue
            less = [a - b for a, b in zip(first.lists[snr, name], values, strict=True)]
            row: Row = {"measure": "difference", "of": of, "score": name, "snr_db": snr}
            row |= {"lookahead_ms": other.system.lookahead_ms, "clips": len(less)}
            row |= {"value": _mean(less), "value_error": _error(less)}
            found.append(row | {"spread": _relative(2 * _error(less), _mean(less))})
    return found


def _static(clips: list[Clip]) -> Row:
    still = [lip_distance(clip, np.broadcast_to(clip.rest_lips, clip.lips.shape)) for clip in clips]
    return {
        "measure": "mouth_opening",
        "system": BASELINES[-1],
        "snr_db": "clean",
        "clips": len(clips),
        "lip_distance": _mean(still),
        "lip_distance_error": _error(still),
    }


def _on_noise_alone(
    scores: list[Scores], clips: list[Clip], noises: list[tuple[str, np.ndarray]], random: np.random.Generator
) -> list[Row]:
    """Share of open pictures on noise at the level of speech, with nobody speaking, by kind of noise."""
    shares: dict[str, dict[str, list[float]]] = {score.system.name: {} for score in scores}
    open_above = {score.system.name: score.open_above for score in scores}

    def judge(clip: Clip, sound: np.ndarray, kind: str) -> None:
        for score in scores:
            course = score.system.course(clip, sound)[round(clip.picture_rate * SETTLED_S) :]
            shares[score.system.name].setdefault(kind, []).append(
                float((course > open_above[score.system.name]).mean())
            )

    for k, (kind, recording) in enumerate(noises):
        clip = clips[k % len(clips)]
        judge(clip, at_level(recording, level_of(clip.sound), len(clip.sound), random), kind)
    for clip in clips[:8]:
        room = random.standard_normal(len(clip.sound)).astype(np.float32) * room_level(clip.sound)
        judge(clip, room, "silence")
    rows: list[Row] = []
    for score in scores:
        own = shares[score.system.name]
        silence = own.pop("silence")
        rows += [_share_row(score.system, kind, values) for kind, values in own.items()]
        rows.append(_share_row(score.system, "all", [value for values in own.values() for value in values]))
        rows.append(_share_row(score.system, "silence", silence))
    return rows


def _share_row(system: System, kind: str, values: list[float]) -> Row:
    row: Row = {"measure": "open_on_noise_alone", **system.about, "noise": kind}
    row |= {"value": _mean(values), "value_error": _error(values), "unit": "share", "count": len(values)}
    return row | {"spread": _relative(2 * _error(values), _mean(values))}


def _by_emotion(systems: list[System], clips: list[Clip]) -> list[Row]:
    """r by emotion, where the clips' names tell one (CREMA-D's names do)."""
    found: dict[tuple[str, str], list[float]] = {}
    for clip in clips:
        truth = clip.motion[:, OPEN]
        seen = np.isfinite(truth) & clip.in_words
        for system in systems if clip.emotion else ():
            r = correlation(system.course(clip, clip.sound)[seen], truth[seen])
            found.setdefault((clip.emotion, system.name), []).append(r)
    rows: list[Row] = []
    for emotion in sorted({emotion for emotion, _ in found}):
        for system in systems:
            values = found[emotion, system.name]
            row: Row = {"measure": "mouth_opening_by_emotion", **system.about, "emotion": emotion}
            row |= {"value": _mean(values), "value_error": _error(values), "unit": "r", "count": len(values)}
            rows.append(row | {"spread": _relative(2 * _error(values), _mean(values))})
    return rows


def correlation(guess: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's r; 0 where one of both does not move."""
    if len(truth) < 3 or np.std(guess) < 1e-9 or np.std(truth) < 1e-9:
        return 0.0
    return float(np.corrcoef(guess, truth)[0, 1])


def lip_distance(clip: Clip, lips: np.ndarray) -> float:
    """Mean distance of 40 lip points from the true ones, head pose removed, seen from the front, in eye distances."""
    return float(np.nanmean(np.linalg.norm((lips - clip.lips)[..., :2], axis=-1)))


def _mean(values: list[float]) -> float:
    return round(float(np.nanmean(values)), 4)


def _error(values: list[float]) -> float:
    """Standard error of the mean over clips; 0 where one clip alone tells of none."""
    count = int(np.isfinite(values).sum())
    return round(float(np.nanstd(values, ddof=1) / np.sqrt(count)), 4) if count > 1 else 0.0


def _relative(band: float, value: float) -> float:
    """A band as a share of its value, as `spread` is everywhere."""
    return round(band / abs(value), 4) if value else 0.0


# Sound


def level_of(sound: np.ndarray) -> float:
    """RMS of the loudest half of the 20 ms chunks: of speech, not of its pauses."""
    count = len(sound) // SPEC.chunk_samples
    power = (sound[: count * SPEC.chunk_samples].reshape(count, -1) ** 2).mean(1)
    return float(np.sqrt(np.sort(power)[count // 2 :].mean()))


def room_level(sound: np.ndarray) -> np.float32:
    """RMS of the quietest tenth of the 20 ms chunks: the room's own noise."""
    count = len(sound) // SPEC.chunk_samples
    power = (sound[: count * SPEC.chunk_samples].reshape(count, -1) ** 2).mean(1)
    return np.float32(np.sqrt(np.sort(power)[: max(1, count // 10)].mean()))


def at_level(recording: np.ndarray, level: float, samples: int, random: np.random.Generator) -> np.ndarray:
    """A random piece of a recording (repeated where it is short) at an RMS."""
    if len(recording) > samples:
        begin = int(random.integers(len(recording) - samples))
        piece = recording[begin : begin + samples]
    else:
        piece = np.resize(recording, samples)
    return (piece * (level / max(float(np.sqrt((piece**2).mean())), 1e-6))).astype(np.float32)


def mix(sound: np.ndarray, recording: np.ndarray, snr_db: float, random: np.random.Generator) -> np.ndarray:
    """Speech and noise at a ratio of their levels, turned down where they would clip."""
    mixed = sound + at_level(recording, level_of(sound) / 10 ** (snr_db / 20), len(sound), random)
    return (mixed / max(1.0, float(np.abs(mixed).max()) / 0.99)).astype(np.float32)


def recorded_noises(folder: Path) -> list[tuple[str, np.ndarray]]:
    """(kind, sound) of a folder KIND/NAME.wav (or opus, flac, ...), kinds in turn; InputError where there are none."""
    paths = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in SOUNDS]
    if not paths:
        raise InputError(f"{folder} holds no sounds", "name a folder of recordings: KIND/NAME.wav")
    by_kind: dict[str, list[Path]] = {}
    for path in paths:
        by_kind.setdefault(path.parent.name, []).append(path)
    order = [kind[k] for k in range(max(map(len, by_kind.values()))) for kind in by_kind.values() if k < len(kind)]
    return [(path.parent.name, read_sound(path)) for path in order[: max(3 * len(by_kind), RECORDINGS)]]


def made_noises(clips: list[Clip], seed: int) -> list[tuple[str, np.ndarray]]:
    """Noise that needs no recordings: pink, in the shape of speech, modulated, and babble of the clips themselves."""
    random = np.random.default_rng(seed)
    samples = 6 * SPEC.sample_rate_hz
    speech = np.concatenate([clip.sound for clip in clips])
    frequencies = np.fft.rfftfreq(samples, 1 / SPEC.sample_rate_hz)
    spectrum = np.abs(np.fft.rfft(np.resize(speech, samples)))
    smooth = np.convolve(spectrum, np.ones(301) / 301, "same")

    def shaped(gain: np.ndarray) -> np.ndarray:
        noise = np.fft.irfft(np.fft.rfft(random.standard_normal(samples)) * gain, samples)
        return (noise / np.abs(noise).max()).astype(np.float32)

    noises = []
    for _ in range(2):
        noises.append(("pink", shaped(1 / np.sqrt(np.maximum(frequencies, 30)))))
        noises.append(("speech-shaped", shaped(smooth)))
        swell = 0.15 + np.clip(
            np.interp(np.arange(samples), np.arange(0, samples, 800), random.random(samples // 800)), 0, 1
        )
        noises.append(("modulated", (shaped(smooth) * swell).astype(np.float32)))
        voices = [
            np.roll(np.resize(clips[i].sound, samples), int(random.integers(samples)))
            for i in random.integers(len(clips), size=7)
        ]
        babble = np.sum([voice / max(level_of(voice), 1e-4) for voice in voices], 0)
        noises.append(("babble", (babble / np.abs(babble).max()).astype(np.float32)))
    return noises


# Systems


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
        codes = heard.codes(sound, count + SPEC.lookahead_chunks(MOST_LOOKAHEAD_MS - lookahead_ms))
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
