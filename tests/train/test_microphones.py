from __future__ import annotations

import numpy as np
import pytest

from tests.train.test_augment import spectrum_db
from tests.train.test_lively import item
from train.data.augment import active_rms
from train.motion.microphones import FAULTS, echoed, gated, headset, lossy, quieter, room, through, tilted, without

RATE = 16_000


def hiss(seconds: float = 1.0) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 0.1, int(seconds * RATE))


def draw() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leaves_length_loudness_and_labels(name: str) -> None:
    clip = item()
    (faulty,) = through([clip], FAULTS[name], 7)
    assert faulty.sound.shape == clip.sound.shape
    assert faulty.sound.dtype == np.int16
    assert not np.array_equal(faulty.sound, clip.sound)
    loud = active_rms(faulty.sound.astype(float)) / active_rms(clip.sound.astype(float))
    assert (
        loud == pytest.approx(1, abs=0.25) or np.abs(faulty.sound).max() == 32767
    )  # unless it would be past full scale
    assert faulty.motion is clip.motion
    (again,) = through([clip], FAULTS[name], 7)
    np.testing.assert_array_equal(faulty.sound, again.sound)


def test_a_tilt_is_what_it_says() -> None:
    change = spectrum_db(tilted(-6)(hiss(), draw())) - spectrum_db(hiss())
    np.testing.assert_allclose(np.diff(change[2:]), -6, atol=0.5)  # from 250 Hz on
    np.testing.assert_allclose(change[:1], 0, atol=0.1)


def test_what_is_cut_off_is_gone() -> None:
    muffled = spectrum_db(without(1200, "lowpass")(hiss(), draw())) - spectrum_db(hiss())
    assert muffled[2] > -1
    assert muffled[6] < -30
    narrow = np.abs(np.fft.rfft(headset(hiss(), draw())))
    assert narrow[5000:].max() < 0.02 * narrow[:3000].max()


def test_a_room_goes_on_sounding() -> None:
    clap = np.zeros(2 * RATE)
    clap[0] = 1
    for rt60_s, direct_db in ((0.8, -3.0), (1.5, 5.0)):
        heard = room(rt60_s, direct_db)(clap, draw())
        echoes = heard[48:]
        assert 10 * np.log10(heard[0] ** 2 / (echoes**2).sum()) == pytest.approx(direct_db, abs=1.0)
        left = np.cumsum(echoes[::-1] ** 2)[::-1]
        falls = 10 * np.log10(left / left[0])
        assert np.argmax(falls < -30) / RATE == pytest.approx(rt60_s / 2, rel=0.1)


def test_lost_packets_are_silent_and_a_gate_shuts() -> None:
    packets = lossy(hiss(4), draw()).reshape(-1, 320)
    assert 1 / 20 < (np.abs(packets).max(1) == 0).mean() < 1 / 7
    voice = np.where(np.arange(RATE) < RATE // 2, np.sin(np.arange(RATE) * 0.2), 0.0)
    left = gated(voice, draw())
    assert left[RATE * 6 // 10 :].std() < 0.3 * active_rms(voice) * 10 ** (-15 / 20)
    assert left[: RATE * 4 // 10].std() == pytest.approx(voice[: RATE * 4 // 10].std(), rel=0.1)


def test_a_quiet_microphone_is_quiet() -> None:
    clip = item()
    (quiet,) = quieter([clip], 40)
    assert active_rms(quiet.sound.astype(float)) == pytest.approx(active_rms(clip.sound.astype(float)) / 100, rel=0.02)
    assert quiet.motion is clip.motion


def test_an_echo_comes_a_quarter_of_a_second_later() -> None:
    clap = np.zeros(RATE)
    clap[100] = 1
    assert np.flatnonzero(echoed(clap, draw())).tolist() == [100, 4100]
