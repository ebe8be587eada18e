from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from train.data.augment import (
    SNR_RANGE_DB,
    TOUCHED,
    Augment,
    AugmentConfig,
    active_rms,
    coloured,
    echoed,
    made_room,
    rms,
    suppressed,
    telephone,
    varied,
)
from train.data.made_noises import beeps, touches

CODES = 100
NOTHING = AugmentConfig(
    noise=0,
    room=0,
    gain_low_db=0,
    gain_high_db=0,
    band_limit=0,
    codec=0,
    clipping=0,
    mute=0,
    floor_low_db=-200,
    floor_high_db=-199,
)


def make(config: AugmentConfig | None = None) -> Augment:
    draw = np.random.default_rng(0)
    noises = {
        "hum": [draw.standard_normal(9000).astype(np.float32) * 0.05],
        "hiss": [draw.standard_normal(90_000).astype(np.float32)],
    }
    room = np.zeros((2, 400), np.float32)
    room[:, 0], room[:, 200] = 1, 0.5
    voices = [tone(220), tone(300)]
    return Augment(noises, room, voices, config)


def tone(hz: float) -> np.ndarray:
    time = np.arange(CODES * 320) / 16_000
    return (0.1 * np.sin(2 * np.pi * hz * time) * (np.sin(2 * np.pi * 3 * time) > -0.5)).astype(np.float32)


def test_varied_noise_keeps_its_kind_and_is_never_the_same() -> None:
    hum = tone(1000)
    found = [varied(hum, CODES * 160, np.random.default_rng(seed)) for seed in range(6)]
    peaks = [np.argmax(np.abs(np.fft.rfft(each))) * 16_000 / len(each) for each in found]
    assert all(650 < peak < 1500 for peak in peaks)
    assert max(peaks) > 1.15 * min(peaks)
    assert len({each.tobytes() for each in found}) == 6
    np.testing.assert_array_equal(found[0], varied(hum, CODES * 160, np.random.default_rng(0)))


@pytest.mark.parametrize("made", [touches, beeps])
def test_bumps_and_beeps_come_out_of_quiet(made: Callable[[int, np.random.Generator], np.ndarray]) -> None:
    found = [made(CODES * 320, np.random.default_rng(seed)) for seed in range(40)]
    assert all(each.shape == (CODES * 320,) and each.dtype == np.float32 for each in found)
    np.testing.assert_array_equal(found[3], made(CODES * 320, np.random.default_rng(3)))
    levels = [20 * np.log10(np.sqrt((each.reshape(CODES, 320) ** 2).mean(1)) + 1e-9) for each in found]
    heard = [each for each in levels if each.max() > -60]
    assert len(heard) > 30  # now and then one has its pause here
    quiet = np.array([(each < each.max() - 40).mean() for each in heard])
    assert np.median(quiet) > 0.3
    starts = np.array([(np.diff((each > each.max() - 20).astype(int)) > 0).sum() for each in heard])
    assert 1 <= np.median(starts) <= 8


def test_so_many_of_the_noises_are_touches() -> None:
    augment = make(AugmentConfig(babble=0.2, touched=0.3))
    names = [augment.noise(1600, np.random.default_rng(seed))[0] for seed in range(300)]
    assert 0.2 < names.count(TOUCHED) / 300 < 0.4
    untouched = make()
    untouched.voices = []  # nobody is there to babble
    assert TOUCHED not in {untouched.noise(1600, np.random.default_rng(seed))[0] for seed in range(300)}


def test_a_second_noise_is_heard_behind_the_first() -> None:
    alone = [make(AugmentConfig(babble=0, synthetic=0)).noise(8000, np.random.default_rng(seed)) for seed in range(8)]
    both = [
        make(AugmentConfig(babble=0, synthetic=0, doubled=1)).noise(8000, np.random.default_rng(seed))
        for seed in range(8)
    ]
    for (name, one), (same, two) in zip(alone, both, strict=True):
        assert name == same
        assert -15 < 20 * np.log10(rms(two - one) / rms(one)) < -1


def test_a_seed_gives_the_same_sound_in_any_order() -> None:
    augment, clean = make(), tone(200)
    first = [augment.speech(clean, np.random.default_rng((1, row))) for row in range(8)]
    again = [augment.speech(clean, np.random.default_rng((1, row))) for row in reversed(range(8))][::-1]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
        assert (a.snr_db, a.noise_class) == (b.snr_db, b.noise_class)
    assert len({a.samples.tobytes() for a in first}) == 8


def test_nothing_done_is_nothing_changed() -> None:
    heard = make(NOTHING).speech(tone(200), np.random.default_rng(0))
    np.testing.assert_allclose(heard.samples, tone(200), atol=1e-6)
    assert heard.snr_db == SNR_RANGE_DB[1]
    assert not heard.muted.any()


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_noise_has_the_level_that_is_said(snr_db: float) -> None:
    config = AugmentConfig(
        **{**{f: getattr(NOTHING, f) for f in NOTHING.__slots__}, "noise": 1.0, "babble": 0, "synthetic": 0}
    )
    object.__setattr__(config, "snr_low_db", snr_db)
    object.__setattr__(config, "snr_high_db", snr_db)
    clean = tone(200)
    heard = make(config).speech(clean, np.random.default_rng(3))
    found = 20 * np.log10(active_rms(clean) / rms(heard.samples - clean))
    assert found == pytest.approx(snr_db, abs=0.1)
    assert heard.snr_db == pytest.approx(snr_db, abs=0.1)
    assert heard.noise_class in ("hum", "hiss")


def test_alone_is_never_louder_than_full_scale_and_says_so() -> None:
    augment = make()
    classes = set()
    for row in range(60):
        heard = augment.alone(CODES * 320, np.random.default_rng(row))
        assert heard.samples.shape == (CODES * 320,)
        assert np.abs(heard.samples).max() <= 1
        assert heard.snr_db == SNR_RANGE_DB[0]
        assert heard.muted.all()
        classes.add(heard.noise_class)
    assert {"", "babble", "hum", "hiss"} <= classes


def test_muted_codes_are_silent() -> None:
    config = AugmentConfig(**{**{f: getattr(NOTHING, f) for f in NOTHING.__slots__}, "mute": 1.0})
    heard = make(config).speech(tone(200), np.random.default_rng(1))
    assert heard.muted.any()
    inside = heard.samples.reshape(CODES, 320)[heard.muted][1:-1]
    assert np.abs(inside).max() < 1e-3


def test_telephone_takes_what_a_telephone_takes() -> None:
    time = np.arange(16_000) / 16_000
    for hz, kept in ((100, 0.1), (1000, 0.9), (6000, 0.1)):
        sine = np.sin(2 * np.pi * hz * time).astype(np.float32)
        ratio = rms(telephone(sine)) / rms(sine)
        assert ratio > kept if kept > 0.5 else ratio < kept


def spectrum_db(sound: np.ndarray) -> np.ndarray:
    """Mean level of seven octaves from 62 Hz on."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / 16_000)
    edges = 62.5 * 2.0 ** np.arange(8)
    return np.array([10 * np.log10(power[(hz >= a) & (hz < b)].mean()) for a, b in pairwise(edges)])


def test_another_microphone_colours_and_is_as_loud() -> None:
    hiss = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    heard = [coloured(hiss, np.random.default_rng(seed)) for seed in range(40)]
    assert all(rms(each) == pytest.approx(rms(hiss), rel=1e-3) for each in heard)
    slopes = [np.polyfit(np.arange(7), spectrum_db(each), 1)[0] for each in heard]
    assert min(slopes) < -3 < 2 < max(slopes)  # dB an octave: dark ones and thin ones
    muffled = [spectrum_db(each)[5] - spectrum_db(each)[6] > 10 for each in heard]
    assert 2 <= sum(muffled) < 15
    np.testing.assert_array_equal(heard[3], coloured(hiss, np.random.default_rng(3)))
    assert np.abs(coloured(np.zeros(1600, np.float32), np.random.default_rng(0))).max() < 1e-6


def test_a_suppressor_takes_noise_and_leaves_speech() -> None:
    voice = tone(250) * np.repeat(np.array([1, 0, 1, 0], np.float32), CODES * 80)
    silent = np.abs(voice) < 1e-9  # in and between the words
    noise = np.random.default_rng(2).normal(0, 0.01, len(voice)).astype(np.float32)
    for seed in range(6):
        left = suppressed(voice + noise, np.random.default_rng(seed))
        assert len(left) == len(voice)
        inner = np.convolve(silent, np.ones(1024), "same") > 1023.5  # a window away from the words
        assert rms(left[inner]) < 0.8 * rms(noise)
        assert rms(left[~silent]) > 0.8 * rms(voice[~silent])
    assert np.isfinite(suppressed(np.zeros(len(voice), np.float32), np.random.default_rng(0))).all()


def test_a_made_room_keeps_loudness_and_place() -> None:
    clap = np.zeros(32_000)
    clap[100] = 1
    lengths = []
    for seed in range(30):
        room = made_room(np.random.default_rng(seed))
        lengths.append(len(room) / 16_000)
        assert (room**2).sum() == pytest.approx(1, rel=1e-4)
        assert np.argmax(np.abs(np.convolve(clap, room)[: len(clap)])) == 100  # the direct sound comes first
        half = len(room) // 2
        assert (room[half:] ** 2).sum() < 0.1 * (room[16:half] ** 2).sum()
    assert min(lengths) < 0.3 < 1.2 < max(lengths) <= 1.6


def test_an_echo_comes_later_and_weaker() -> None:
    clap = np.zeros(32_000, np.float32)
    clap[1000] = 1
    lates = []
    for seed in range(30):
        heard = echoed(clap, np.random.default_rng(seed))
        np.testing.assert_array_equal(heard[:1960], clap[:1960])
        late = int(np.argmax(np.abs(heard[1001:]))) + 1
        lates.append(late / 16_000)
        assert 10 ** (-15 / 20) * 0.2 < abs(heard[1000 + late]) < 10 ** (-3 / 20)  # what is lost is its brightness
        assert not heard[1000 + late + 1600 :].any() or abs(heard[1000 + late + 1600 :]).max() < 1e-3  # once
    assert 0.06 <= min(lates) < 0.12 < 0.33 < max(lates) <= 0.4


def test_quiet_microphones_and_sound_beside_zero() -> None:
    levels = []
    for seed in range(20):
        heard = make(replace(NOTHING, quiet=1.0)).speech(tone(200), np.random.default_rng(seed))
        levels.append(20 * np.log10(rms(heard.samples) / rms(tone(200))))
    assert -30.1 < min(levels) < -25
    assert -10 < max(levels) < -4.9
    means = [
        float(make(replace(NOTHING, offset=1.0)).speech(tone(200), np.random.default_rng(seed)).samples.mean())
        for seed in range(20)
    ]
    assert 0.01 < np.std(means) < 0.04


def test_what_is_not_asked_for_changes_no_draw() -> None:
    """Runs of before, whose configs do not name microphones, hear what they heard."""
    plain = make().speech(tone(200), np.random.default_rng(4))
    other = make(AugmentConfig(made_room=0.0, microphone=0.0, suppressor=0.0, echo=0.0, quiet=0.0, offset=0.0)).speech(
        tone(200), np.random.default_rng(4)
    )
    np.testing.assert_array_equal(plain.samples, other.samples)
    through = make(AugmentConfig(microphone=1.0)).speech(tone(200), np.random.default_rng(4))
    assert not np.array_equal(plain.samples, through.samples)
