"""Sounds of any kind, and the words for those that will not do."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InputError
from realtime.audio.sound import PhaseKeeper, SoundFile, claimed_samples, to_mono
from realtime.messages import Picture
from realtime.pictures.video_file import VideoFile


def tone(seconds: float, rate: int, channels: int = 1, level: float = 0.5) -> np.ndarray:
    one = level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return np.repeat(one[:, None], channels, 1).astype(np.float32)


def read_all(path: Path) -> tuple[np.ndarray, SoundFile]:
    with SoundFile(path) as sound:
        return np.concatenate(list(sound.blocks())), sound


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 1), (96_000, 2)])
def test_formats_rates_and_channels(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    if suffix == "mp3" and rate == 96_000:
        pytest.skip("mp3 has no such rate")
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(0.5, rate, channels), rate)
    samples, sound = read_all(path)
    assert (sound.rate_hz, sound.channels) == (rate, channels)
    assert len(samples) / rate == pytest.approx(0.5, abs=0.06)
    begin, end = len(samples) // 4, 3 * len(samples) // 4
    phase = np.exp(-2j * np.pi * 440 * np.arange(begin, end) / rate)
    assert abs(np.mean(samples[begin:end, 0] * phase)) == pytest.approx(0.25, rel=0.02)  # one tone, not torn


def test_m4a_and_video_through_pyav(tmp_path: Path) -> None:
    path = tmp_path / "talk.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        stream.layout = "stereo"
        sound = av.AudioFrame.from_ndarray(tone(1.0, 44_100, 2).reshape(1, -1), format="flt", layout="stereo")
        sound.sample_rate = 44_100
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=44_100, frame_size=1024)
        for part in [*resampler.resample(sound), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    samples, opened = read_all(path)
    assert (opened.rate_hz, opened.channels) == (44_100, 2)
    assert len(samples) / 44_100 == pytest.approx(1.0, abs=0.08)


def test_blocks_are_small_however_long_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(60):
            file.write(tone(1.0, 16_000))
    with SoundFile(path) as sound:
        assert sound.seconds == 60
        assert max(len(block) for block in sound.blocks()) <= 1_600


def test_mono_is_the_mean() -> None:
    block = np.array([[1.0, 0.0], [0.5, -0.5]], np.float32)
    assert to_mono(block).tolist() == [0.5, 0.0]


def test_what_will_not_do(tmp_path: Path) -> None:
    empty_file, no_samples = tmp_path / "empty.wav", tmp_path / "none.wav"
    empty_file.touch()
    soundfile.write(no_samples, np.zeros((0, 1), np.float32), 16_000)
    text = tmp_path / "text.wav"
    text.write_text("this is no sound")
    not_numbers = tmp_path / "nan.wav"
    samples = tone(1.0, 16_000)
    samples[9_000] = np.nan
    soundfile.write(not_numbers, samples, 16_000, subtype="FLOAT")
    for path, words, code in (
        (tmp_path / "missing.wav", "there is no sound", 2),
        (tmp_path, "is a folder", 2),
        (empty_file, "is empty", 1),
        (no_samples, "is empty", 1),
        (text, "cannot read", 1),
        (not_numbers, "not numbers", 1),
    ):
        with pytest.raises(InputError, match=words) as caught:
            read_all(path)
        assert caught.value.fix
        assert caught.value.exit_code == code


def test_a_sound_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, tone(2.0, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    got: list[np.ndarray] = []
    with contextlib.suppress(InputError), SoundFile(path) as sound:
        got.extend(sound.blocks())
    assert 0 < sum(map(len, got)) < 2 * 16_000


def test_silent_quiet_and_clipped_are_told(tmp_path: Path) -> None:
    silent, quiet, clipped, fine = (tmp_path / f"{name}.wav" for name in ("silent", "quiet", "clipped", "fine"))
    soundfile.write(silent, np.zeros((8_000, 1), np.float32), 16_000)
    soundfile.write(clipped, np.clip(tone(0.5, 16_000, level=3.0), -1, 1), 16_000, subtype="FLOAT")
    soundfile.write(quiet, tone(0.5, 16_000, level=0.002), 16_000, subtype="FLOAT")
    soundfile.write(fine, tone(0.5, 16_000), 16_000)
    assert "very quiet (peak -54 dB)" in read_all(quiet)[1].warnings()[0]
    assert "silent" in read_all(silent)[1].warnings()[0]
    assert "clipped" in read_all(clipped)[1].warnings()[0]
    assert read_all(fine)[1].warnings() == []


def test_values_beyond_full_scale_are_held(tmp_path: Path) -> None:
    path = tmp_path / "hot.wav"
    soundfile.write(path, tone(0.2, 16_000, level=4.0), 16_000, subtype="FLOAT")
    assert np.abs(read_all(path)[0]).max() == 1.0


@pytest.mark.parametrize("ending", ["wav", "mp3", "m4a"])
def test_no_library_chats_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str) -> None:
    """One line is ours to say; libmpg123 inside libsndfile would add notes of its own."""
    path = tmp_path / f"page.{ending}"
    path.write_text("<html>404</html>" * 300)
    with pytest.raises(InputError, match="as sound") as told:
        SoundFile(path)
    assert capfd.readouterr().err == ""
    assert str(told.value).count(str(path)) == 1
    assert "Errno" not in str(told.value)


def test_less_sound_than_announced_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.ogg", tone(3.0, 16_000), 16_000)
    with av.open(str(tmp_path / "whole.mkv"), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        samples = (0.1 * np.random.default_rng(0).standard_normal((1, 3 * 48_000))).astype(np.float32)
        raw = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        raw.sample_rate = 48_000
        for packet in (*stream.encode(raw), *stream.encode(None)):
            container.mux(packet)
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    for name, noted in (("whole.mkv", 0), ("whole.ogg", 0), ("cut.mkv", 1)):
        _, sound = read_all(tmp_path / name)
        notes = [note for note in sound.warnings() if "cut short" in note]
        assert len(notes) == noted, (name, sound.warnings())
        assert sound.read_s == pytest.approx(3.0 if not noted else 2.0, abs=0.2)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="is a pipe or a device"):
        SoundFile(tmp_path / "pipe.wav")


def babble(seconds: float, rate: int = 16_000) -> np.ndarray:
    """Noise in syllables, (samples,)."""
    count = round(seconds * rate)
    loudness = np.clip(np.sin(2 * np.pi * 4 * np.arange(count) / rate), 0, None)
    return (0.2 * loudness * np.random.default_rng(3).normal(size=count)).astype(np.float32)


def in_cuts(block: np.ndarray, cuts: list[int], keeper: PhaseKeeper) -> np.ndarray:
    return np.concatenate([keeper.push(part) for part in np.split(block, sorted(cuts))])


def test_anti_phase_is_no_silence(tmp_path: Path) -> None:
    path, voice = tmp_path / "turned.wav", babble(3.0)
    soundfile.write(path, np.stack([voice, -voice], 1), 16_000, subtype="FLOAT")
    samples, sound = read_all(path)
    assert np.abs(to_mono(samples)[4_000:] - voice[4_000:]).max() < 1e-6
    assert sound.warnings() == ["turned.wav has its two channels in anti-phase: the right one was turned over"]


@pytest.mark.parametrize("right", ["same", "silent", "other", "weaker"])
def test_other_stereo_is_left_alone(right: str) -> None:
    voice = babble(3.0)
    other = {"same": voice, "silent": 0 * voice, "other": babble(3.1)[1_600:], "weaker": 0.3 * voice}[right]
    block = np.stack([voice, other], 1)
    keeper = PhaseKeeper(16_000)
    assert keeper.push(block) is block
    assert not keeper.turned_samples


def test_a_channel_turns_without_a_click_and_back_again() -> None:
    """A cable that is changed in the middle: a steady tone tells the largest step from sample to sample."""
    one = tone(6.0, 16_000)[:, 0]
    sign = np.ones(96_000, np.float32)
    sign[32_000:64_000] = -1
    opposed = np.sin(2 * np.pi * 441.3 * np.arange(96_000) / 16_000).astype(np.float32) * 0.5
    out = PhaseKeeper(16_000).push(np.stack([one, sign * one], 1))
    assert np.abs(out[60_000:64_000].mean(1) - one[60_000:64_000]).max() < 1e-6
    assert np.abs(out[92_000:].mean(1) - one[92_000:]).max() < 1e-6
    within = np.abs(np.diff(out[np.r_[33_000:63_900]].mean(1))).max()
    assert within < 1.05 * np.abs(np.diff(opposed)).max()


@given(st.lists(st.integers(0, 48_000), max_size=40))
@settings(max_examples=25, deadline=None)
def test_cuts_change_nothing_of_the_phase(cuts: list[int]) -> None:
    voice = babble(3.0)
    block = np.stack([voice, np.where(np.arange(48_000) < 20_000, -0.7, 0.9).astype(np.float32) * voice], 1)
    assert np.array_equal(in_cuts(block, cuts, PhaseKeeper(16_000)), PhaseKeeper(16_000).push(block))


@pytest.mark.parametrize(
    "name", ["12:30.mp3", "100%25 of it.mp3", "t\xf6n \u97f3.mp3", "file:x.mp3", os.fsdecode(b"t\xf6n.mp3")]
)
@pytest.mark.parametrize("suffix", [".mp3", ".wav"])
@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_odd_names(tmp_path: Path, name: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / f"plain{suffix}", tone(0.5, 16_000), 16_000)
    (tmp_path / f"plain{suffix}").rename(tmp_path / name.replace(".mp3", suffix))
    monkeypatch.chdir(tmp_path)
    samples, _ = read_all(Path(name.replace(".mp3", suffix)))
    assert len(samples) >= 8_000


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_is_shorter_than_its_pictures_is_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    file = VideoFile(path, 16_000, 1)
    file.open(48, 64, 25)
    file.hear(tone(1.2, 16_000))
    for index in range(75):
        file.send(Picture(index, np.zeros((48, 64, 3), np.uint8), 0, 0, 0))
    file.close()
    samples, sound = read_all(path)
    assert len(samples) / sound.rate_hz == pytest.approx(1.2, abs=0.1)
    assert sound.warnings() == []


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_that_is_cut_short_says_so(tmp_path, subtype):
    whole = tmp_path / "whole.wav"
    soundfile.write(whole, 0.3 * np.sin(np.arange(32_000) / 20), 16_000, subtype=subtype)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path, seconds, noted in ((whole, 2.0, False), (cut, 1.0, True)):
        with SoundFile(path) as sound:
            assert sum(len(block) for block in sound.blocks()) / 16_000 == pytest.approx(seconds, abs=0.01)
            assert any("cut short" in warning for warning in sound.warnings()) == noted


@pytest.mark.parametrize("size", [0, 2**31, 2**32 - 1])
def test_a_recorder_that_never_wrote_its_length_promises_nothing(tmp_path, size):
    path = tmp_path / "pipe.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(16_000) / 20), 16_000)
    content = bytearray(path.read_bytes())
    at = content.find(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert claimed_samples(path) == 0
