"""Augmentation: one clean clip -> the sound that the encoder hears. Seeded by item, so that any order gives the same.

`Augment.speech` keeps time: labels stay true. `Augment.alone` is noise, babble, music, breath or silence with nobody
speaking to us. Pitch and formants are shifted in `train/data/batches.py`, where labels are stretched along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft, signal

from engines.spec import SPEC
from train.data.made_noises import beeps, breath, music, touches

RATE, CHUNK = SPEC.sample_rate_hz, SPEC.chunk_samples
WINDOW = 512  # samples of a suppressor's spectra
SNR_RANGE_DB = (-15.0, 35.0)  # what `snr_db` can say; nobody speaking is the lower end
TOUCHED = "touched"  # a class of its own that no reader of classes has learnt
SNRS_DB = (20, 10, 5, 0, -5)  # at which reports judge


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    noise: float = 0.7  # chance that speech gets noise
    snr_low_db: float = -5.0
    snr_high_db: float = 24.0
    babble: float = 0.2  # of the noises
    synthetic: float = 0.08  # of the noises: music and breath made here
    touched: float = 0.0  # of the noises: bumps, knocks, rubbing and beeps made here, with quiet between
    varied: float = 0.0  # chance that a recorded noise is played faster or slower, its spectrum bent
    doubled: float = 0.0  # chance that a second recording is heard behind it
    room: float = 0.35
    made_room: float = 0.0  # of the rooms: made here, up to halls, in place of the corpus's 14
    gain_low_db: float = -18.0
    gain_high_db: float = 10.0
    band_limit: float = 0.15
    microphone: float = 0.0  # chance of one that colours what it hears: dark, thin, muffled, resonant
    suppressor: float = 0.0  # chance of a noise suppressor behind it
    echo: float = 0.0  # chance that speech comes back, as out of the other side's loudspeakers
    quiet: float = 0.0  # chance of a microphone turned down by another 5 to 30 dB
    offset: float = 0.0  # chance of a constant beside the sound, as cheap sound cards have
    codec: float = 0.08
    clipping: float = 0.08
    mute: float = 0.12  # a stretch of silence cut in
    lively: float = 0.0  # chance of another voice: raised, sung, laughing and so on (train/data/lively.py)
    pitch: float = 0.3  # pitch and formants shifted together
    pitch_range: float = 0.14
    vocal_tract: float = 0.0  # chance that formants alone are shifted, in the encoder (train/speech/vae.py, `warped`)
    vocal_tract_range: float = 0.12
    silence: float = 0.12  # of the items without speech
    floor_low_db: float = -104.0
    floor_high_db: float = -62.0


@dataclass(frozen=True, slots=True)
class Heard:
    """samples (n,) float32; snr_db; the class of its noise ("" for none); muted (codes,) bool where speech was cut."""

    samples: np.ndarray
    snr_db: float
    noise_class: str
    muted: np.ndarray


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2) + 1e-14))


def active_rms(samples: np.ndarray) -> float:
    """RMS of the loud parts: pieces of 20 ms within 25 dB of the loudest twentieth."""
    pieces = samples[: len(samples) // CHUNK * CHUNK].reshape(-1, CHUNK)
    power = (pieces.astype(np.float64) ** 2).mean(1)
    return float(np.sqrt(power[power >= np.quantile(power, 0.95) * 10**-2.5].mean() + 1e-14))


class Augment:
    """noises: class -> recordings; rooms: impulse responses (rooms, taps); voices: clean speech to make babble from."""

    def __init__(
        self,
        noises: dict[str, list[np.ndarray]],
        rooms: np.ndarray,
        voices: list[np.ndarray],
        config: AugmentConfig | None = None,
    ) -> None:
        self.noises, self.voices = noises, voices
        self.config = config or AugmentConfig()
        self.classes = sorted(noises)
        self.rooms = [room[: np.flatnonzero(np.abs(room) > 1e-3)[-1] + 1] for room in rooms]
        weight = np.array([np.sqrt(sum(map(len, noises[name]))) for name in self.classes])
        self.chance = weight / weight.sum()

    def speech(self, clean: np.ndarray, draw: np.random.Generator) -> Heard:
        """Clean speech as some microphone would hear it."""
        config = self.config
        codes = len(clean) // CHUNK
        samples: np.ndarray = clean.astype(np.float32)
        muted = np.zeros(codes, bool)
        if draw.random() < config.mute:
            start, length = int(draw.integers(0, codes)), int(draw.integers(12, 50))
            muted[start : start + length] = True
            window = np.ones(len(samples), np.float32)
            window[start * CHUNK : (start + length) * CHUNK] = 0
            samples = samples * signal.fftconvolve(window, np.full(80, 1 / 80, np.float32), "same")
        level = active_rms(samples)
        if draw.random() < config.room:
            samples = self.in_room(samples, draw)
        if config.echo and draw.random() < config.echo:
            samples = echoed(samples, draw)
        snr_db, name = SNR_RANGE_DB[1], ""
        if draw.random() < config.noise:
            name, noise = self.noise(len(samples), draw)
            snr_db = float(draw.uniform(config.snr_low_db, config.snr_high_db))
            samples = samples + noise * (level / rms(noise) * 10 ** (-snr_db / 20))
        return self._microphone(samples, level, snr_db, name, muted, draw)

    def alone(self, count: int, draw: np.random.Generator) -> Heard:
        """Sound with nobody speaking to us: silence, noise, or babble, mostly at the level that speech has."""
        codes = count // CHUNK
        name = ""
        samples: np.ndarray = np.zeros(count, np.float32)
        if draw.random() >= self.config.silence:
            name, noise = self.noise(count, draw, babble=0.33)
            level_db = draw.uniform(-34, -16) if draw.random() < 0.7 else draw.uniform(-60, -34)
            samples = noise * (10 ** (level_db / 20) / rms(noise))
            if draw.random() < 0.25:  # a second one
                _, other = self.noise(count, draw, babble=0)
                samples = samples + other * (rms(samples) / rms(other) * 10 ** (draw.uniform(-15, 5) / 20))
            if draw.random() < 0.15:  # it comes or goes
                at = int(draw.integers(0, count))
                ramp = np.clip((np.arange(count) - at) / draw.uniform(200, 16000), 0, 1).astype(np.float32)
                samples = samples * (ramp if draw.random() < 0.5 else 1 - ramp)
        return self._microphone(samples, 0.07, SNR_RANGE_DB[0], name, np.ones(codes, bool), draw)

    def noise(self, count: int, draw: np.random.Generator, babble: float | None = None) -> tuple[str, np.ndarray]:
        """`count` samples of some noise and its class."""
        choice = draw.random()
        babble = self.config.babble if babble is None else babble
        if choice < babble and self.voices:
            return "babble", self.babble(count, draw)
        if babble <= choice < babble + self.config.touched:
            return TOUCHED, (touches if draw.random() < 0.6 else beeps)(count, draw)
        if choice > 1 - self.config.synthetic:
            return ("music", music(count, draw)) if draw.random() < 0.6 else ("breath", breath(count, draw))
        name, noise = self._recorded(count, draw)
        if self.config.doubled and draw.random() < self.config.doubled:
            _, other = self._recorded(count, draw)
            noise = noise + other * (rms(noise) / rms(other) * 10 ** (draw.uniform(-14, -2) / 20))
        return name, noise

    def _recorded(self, count: int, draw: np.random.Generator) -> tuple[str, np.ndarray]:
        """A stretch of some recording, as it is or varied."""
        name = self.classes[int(draw.choice(len(self.classes), p=self.chance))]
        recording = self.noises[name][int(draw.integers(len(self.noises[name])))]
        if not self.config.varied or draw.random() >= self.config.varied:
            return name, cut(recording, count, draw)
        return name, varied(recording, count, draw)

    def babble(self, count: int, draw: np.random.Generator) -> np.ndarray:
        """Three to nine voices of a room full of people; the fewer, the farther off."""
        total = np.zeros(count, np.float32)
        for _ in range(int(draw.integers(3, 10))):
            voice = cut(self.voices[int(draw.integers(len(self.voices)))], count, draw)
            total += voice * (10 ** (draw.uniform(-5, 5) / 20) / active_rms(voice))
        if draw.random() < 0.75:
            total = self.in_room(total, draw)
        if draw.random() < 0.3:  # behind a door
            total = signal.sosfilt(signal.butter(2, draw.uniform(900, 3000), "low", fs=RATE, output="sos"), total)
        return total.astype(np.float32)

    def in_room(self, samples: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        if self.config.made_room and draw.random() < self.config.made_room:
            room = made_room(draw)
        else:
            room = self.rooms[int(draw.integers(len(self.rooms)))]
        size = fft.next_fast_len(len(samples) + len(room), real=True)
        wet = fft.irfft(fft.rfft(samples, size) * fft.rfft(room.astype(np.float32), size), size)[: len(samples)]
        return wet.astype(np.float32)

    def _microphone(
        self, samples: np.ndarray, level: float, snr_db: float, name: str, muted: np.ndarray, draw: np.random.Generator
    ) -> Heard:
        """Everything that happens from the air to the file: bands, codec, gain, floor, clipping."""
        config = self.config
        if config.microphone and draw.random() < config.microphone:
            samples = coloured(samples, draw)
        if config.suppressor and draw.random() < config.suppressor:
            samples = suppressed(samples, draw)
        if draw.random() < config.band_limit:
            kind = draw.random()
            if kind < 0.6:
                corner, side = draw.uniform(3000, 7000), "low"
            else:
                corner, side = draw.uniform(80, 350), "high"
            samples = signal.sosfilt(signal.butter(3, corner, side, fs=RATE, output="sos"), samples)
        if draw.random() < config.codec:
            samples = telephone(samples)
        gain_db = float(draw.uniform(config.gain_low_db, config.gain_high_db))
        if config.quiet and draw.random() < config.quiet:
            gain_db -= float(draw.uniform(5, 30))
        samples = samples * 10 ** (gain_db / 20)
        floor_db = float(draw.uniform(config.floor_low_db, config.floor_high_db))
        samples = samples + draw.standard_normal(len(samples), np.float32) * np.float32(10 ** (floor_db / 20))
        if draw.random() < config.clipping:
            top = np.abs(samples).max() * draw.uniform(0.2, 0.8)
            samples = np.clip(samples, -top, top)
        if config.offset and draw.random() < config.offset:
            samples = samples + np.float32(draw.normal(0, 0.02))
        if snr_db > SNR_RANGE_DB[0]:
            against_floor = 20 * np.log10(level) + gain_db - floor_db
            snr_db = -10 * np.log10(10 ** (-snr_db / 10) * (name != "") + 10 ** (-against_floor / 10))
        return Heard(np.clip(samples, -1, 1).astype(np.float32), float(np.clip(snr_db, *SNR_RANGE_DB)), name, muted)


def cut(recording: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """A random stretch of a recording, which goes round when it is too short."""
    start = int(draw.integers(0, len(recording)))
    if start + count <= len(recording):
        return recording[start : start + count]
    return np.resize(np.roll(recording, -start), count)


def varied(recording: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """A random stretch of a recording at 0.7 to 1.4 times its speed, through a spectrum bent by some 6 dB.

    Few recordings of a class thus become many: what the encoder should learn is speech, not which noises there are.
    """
    speed = 2 ** draw.uniform(-0.5, 0.5)
    stretch = cut(recording, int(np.ceil(count * speed)) + 1, draw)
    samples = np.interp(np.arange(count) * speed, np.arange(len(stretch)), stretch)

    def bends_db(hz: np.ndarray) -> np.ndarray:
        octaves = np.log2(np.maximum(hz, 60) / 60)
        bends = np.linspace(0, octaves[-1], 6)
        return np.interp(octaves, bends, draw.normal(0, 6, len(bends)))

    return equalised(samples, bends_db).astype(np.float32)


def equalised(samples: np.ndarray, gain_db: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The samples (n,) with their spectrum turned up by `gain_db` of frequencies in Hz, phases kept; float64."""
    size = fft.next_fast_len(len(samples), real=True)
    spectrum = fft.rfft(samples, size)
    hz = np.arange(len(spectrum)) * RATE / size
    return fft.irfft(spectrum * 10 ** (gain_db(hz) / 20), size)[: len(samples)]


def coloured(samples: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The sound of another microphone, as loud: its spectrum tilted and bent, in one of four cut off above 1 to 4 kHz.

    Under cloth, behind a hand or too near a chest it is dark, in a thin lid it is bright, in a pipe it rings.
    """

    def colour_db(hz: np.ndarray) -> np.ndarray:
        octaves = np.log2(np.maximum(hz, 100) / 100)
        bends = np.linspace(0, octaves[-1], 9)
        gain_db = np.interp(octaves, bends, draw.normal(0, 3, len(bends))) + draw.normal(-0.5, 3) * octaves
        if draw.random() < 0.25:
            corner = 1000 * 4 ** draw.random()
            gain_db -= 10 * np.log10(1 + (hz / corner) ** (2 * draw.integers(2, 5)))
        return gain_db

    made = equalised(samples, colour_db)
    return (made * (rms(samples) / rms(made))).astype(np.float32)


def echoed(samples: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Speech that comes back once, 60 to 400 ms late, 3 to 15 dB weaker and darker: whoever speaks hears himself."""
    late = int(draw.uniform(0.06, 0.4) * RATE)
    back = signal.sosfilt(signal.butter(1, draw.uniform(1500, 7000), "low", fs=RATE, output="sos"), samples[:-late])
    made: np.ndarray = samples.astype(np.float32)
    made[late:] += (back * 10 ** (-draw.uniform(3, 15) / 20)).astype(np.float32)
    return made


def suppressed(samples: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """What a noise suppressor leaves: bands as loud as the quiet of their own are turned down by 10 to 40 dB.

    Spectral subtraction with what lies at a fifth of each band's levels as its noise; consonants go with it.
    """
    _, _, spectrum = signal.stft(samples, RATE, nperseg=WINDOW, noverlap=WINDOW // 2)
    power = signal.lfilter([0.4], [1, -0.6], np.abs(spectrum) ** 2, axis=1)
    floor = np.quantile(power, 0.2, axis=1, keepdims=True) * draw.uniform(1.5, 6) + 1e-12
    least = 10 ** (draw.uniform(-40, -10) / 20)
    gain = np.clip(1 - floor / (power + 1e-12), least**2, 1) ** 0.5
    _, made = signal.istft(spectrum * gain, RATE, nperseg=WINDOW, noverlap=WINDOW // 2)
    return np.pad(made, (0, max(0, len(samples) - len(made))))[: len(samples)].astype(np.float32)


def made_room(draw: np.random.Generator) -> np.ndarray:
    """An impulse response of energy 1: direct sound, then noise that dies away in 0.2 to 1.6 s, the darker the later.

    Its echoes are 8 dB weaker (a near mouth) to 6 dB stronger (a far one) than the direct sound.
    """
    rt60_s = 0.2 * 8 ** draw.random()
    count = int(rt60_s * RATE)
    time = np.arange(count) / RATE
    bright = draw.standard_normal(count) * np.exp(-6.9 * time / (rt60_s * draw.uniform(0.3, 0.8)))
    dark = signal.sosfilt(
        signal.butter(1, draw.uniform(800, 3000), "low", fs=RATE, output="sos"), draw.standard_normal(count)
    )
    tail = 0.5 * bright + dark * np.exp(-6.9 * time / rt60_s)
    tail[: int(draw.uniform(0.001, 0.008) * RATE)] = 0
    tail *= 10 ** (-draw.uniform(-6, 8) / 20) / np.sqrt((tail**2).sum())
    tail[0] = 1
    return (tail / np.sqrt((tail**2).sum())).astype(np.float32)


def telephone(samples: np.ndarray) -> np.ndarray:
    """ITU-T G.711 mu-law: 300 to 3400 Hz, 8 bit."""
    band = signal.sosfilt(signal.butter(3, (300, 3400), "band", fs=RATE, output="sos"), samples)
    top = np.abs(band).max() + 1e-9
    mu = np.sign(band) * np.log1p(255 * np.abs(band / top)) / np.log(256)
    mu = np.round(mu * 127) / 127
    return (np.sign(mu) * (256 ** np.abs(mu) - 1) / 255 * top).astype(np.float32)


def with_noise(sound: np.ndarray, recording: np.ndarray, snr_db: float, draw: np.random.Generator) -> np.ndarray:
    """The sound with a recording behind it, somewhere out of it, at this SNR where somebody speaks; within -1..1."""
    background = cut(recording, len(sound), draw)
    mixed = sound + background * (active_rms(sound) / rms(background) * 10 ** (-snr_db / 20))
    return (mixed / max(1.0, np.abs(mixed).max())).astype(np.float32)
