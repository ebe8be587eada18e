"""`voxcam encode`: number of codes, times, names, folders, and what cannot be read or written."""

from __future__ import annotations

from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import soundfile

from engines.encoder import open_encoder
from engines.errors import ConfigError, InputError
from engines.shaper import Shaper
from engines.spec import MODEL_CHANNELS, MOTION_CHANNELS, SPEC, SPEECH_CHANNELS
from realtime.cli import main
from realtime.commands.encode import sounds_in
from realtime.course import SIZES, chunks_of, encode_chunks
from realtime.pictures.codes_plot import log_mel
from tests.engines.tiny_models import tiny_encoder, write_model
from tests.fakes import FakeEncoder

JAW = MOTION_CHANNELS.index("jawOpen")


def encoded(samples: np.ndarray, lookahead_ms: int, encoder=None):
    hops = (samples[at : at + 160] for at in range(0, len(samples), 160))
    shaper = Shaper(SPEC, lookahead_ms, idle=False, emotion="off")
    return encode_chunks(chunks_of(hops), encoder or FakeEncoder(), shaper, lookahead_ms)


@pytest.fixture
def tone(tmp_path):
    """1.01 s: half a second of silence, then a tone; at 48 kHz, stereo."""
    seconds = np.arange(48_480) / 48_000
    samples = 0.3 * np.sin(2 * np.pi * 300 * seconds) * (seconds > 0.5)
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.stack([samples, samples], 1), 48_000)
    return path


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A small encoder with the real tensors in place of the shipped one."""
    card = write_model(tmp_path / "models", "encoder", tiny_encoder())
    monkeypatch.setattr("engines.encoder.open_encoder", lambda threads=1: open_encoder(card, threads=threads))


def voxcam(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.mark.parametrize("lookahead_ms", [0, 40, 80])
@pytest.mark.parametrize("samples", [1, 160, 319, 320, 321, 3200, 5001])
def test_as_many_codes_as_chunks_whatever_the_lookahead(samples, lookahead_ms):
    course = encoded(np.full(samples, 0.1, np.float32), lookahead_ms).finished()
    assert len(course["times_s"]) == -(-samples // 320)
    assert course["times_s"][0] == pytest.approx(0.01)
    assert np.allclose(np.diff(course["times_s"]), 0.02)
    for name, size in SIZES.items():
        assert course[name].shape == (len(course["times_s"]), size)
        assert course[name].dtype == np.float32


def test_every_lookahead_puts_a_sound_where_it_was():
    """Loud in codes 20 to 39 only: the codes that hear ahead say so at the same times."""
    samples = np.zeros(320 * 60, np.float32)
    samples[320 * 20 : 320 * 40] = 0.1
    loud = [encoded(samples, ms).finished()["presence"][:, 0] > 0.5 for ms in (0, 40, 80)]
    raw = [encoded(samples, ms).finished()["motion"][:, JAW] > 0.02 for ms in (0, 40, 80)]
    for opened, present in zip(raw, loud, strict=True):
        assert set(np.flatnonzero(opened)) <= set(range(20, 47))  # and shuts softly after it
        assert opened[22:40].all()
        assert present[25:36].all()


def test_hours_do_not_cost_a_list_of_objects():
    course = encoded(np.zeros(320 * 1000, np.float32), 80)
    assert course.count == 1000
    assert len(course.arrays["motion"]) < 2048


def test_a_file_becomes_an_npz(tone, tmp_path, shipped, capsys):
    out = tmp_path / "codes.npz"
    assert voxcam("encode", "--audio", tone, "--out", out, "--lookahead-ms", 40, "--plot", tmp_path / "codes.png") == 0
    with np.load(out, allow_pickle=False) as codes:
        assert set(codes.files) == {*SIZES, "times_s", "phones", "motion_channels", "emotions"}
        assert len(codes["times_s"]) == 51
        assert tuple(codes["phones"]) == SPEC.phones
        assert tuple(codes["motion_channels"]) == MOTION_CHANNELS
        assert codes["emotions"][5] == "happiness"
        assert codes["content"].shape == (51, 48)
        assert codes["snr_db"].shape == (51, 1)
        face = codes["motion"][:, len(SPEECH_CHANNELS) : len(MODEL_CHANNELS)]
        assert not face.any()  # no idle life, no mood unless asked for
    picture = cv2.imread(str(tmp_path / "codes.png"))
    assert picture.shape[1] == 1600
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    assert "51 codes, 1.02 s" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"tone.wav", "codes.npz", "codes.png"}


def test_the_same_codes_from_any_rate_and_by_hand(tone, tmp_path, shipped):
    out = tmp_path / "codes.npz"
    assert voxcam("encode", "-a", tone, "-o", out) == 0
    samples, _ = soundfile.read(tone, dtype="float32")
    plain = tmp_path / "plain.wav"
    from realtime.audio.resampler import Resampler

    resampler = Resampler(48_000, 16_000)
    whole = np.concatenate([resampler.push(samples.mean(1, dtype=np.float32)), resampler.finish()])
    soundfile.write(plain, whole, 16_000, subtype="FLOAT")
    assert voxcam("encode", "-a", plain, "-o", tmp_path / "plain.npz") == 0
    with np.load(out) as one, np.load(tmp_path / "plain.npz") as two:
        for name in SIZES:
            np.testing.assert_allclose(one[name], two[name], atol=1e-5)


def test_idle_and_emotion_are_there_when_asked_for(tone, tmp_path, shipped):
    for name, words in (("a", ()), ("b", ()), ("c", ("--seed", 8))):
        target = tmp_path / f"{name}.npz"
        assert voxcam("encode", "-a", tone, "-o", target, "--idle", "--emotion", "smile:1", *words) == 0
    a, b, c = (np.load(tmp_path / f"{name}.npz")["motion"] for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a[:, MOTION_CHANNELS.index("headPitch")].any()
    assert a[-1, MOTION_CHANNELS.index("eyeSquint")] > 0.3


def test_a_folder_skips_what_is_no_sound_and_says_so(tone, tmp_path, shipped, capsys):
    folder = tmp_path / "sounds"
    folder.mkdir()
    tone.rename(folder / "b.wav")
    (folder / "a.wav").write_bytes(b"RIFF nothing of the kind")
    (folder / "c.flac").write_bytes(b"")
    (folder / "notes.txt").write_text("no sound")
    assert voxcam("encode", "-a", folder, "-o", tmp_path / "codes") == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in said] == ["skipped", "skipped", "2"]
    assert "a.wav" in said[0]
    assert "c.flac" in said[1]
    assert [p.name for p in (tmp_path / "codes").iterdir()] == ["b.npz"]
    assert voxcam("encode", "-a", folder, "-o", tmp_path / "codes") == 2  # what exists is not replaced
    assert voxcam("encode", "-a", folder, "-o", tmp_path / "codes", "--overwrite") == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("-a", "TONE", "-o", "x.npy"), 2, "does not end in .npz"),
        (("-a", "TONE", "-o", "no/such/x.npz"), 2, "no folder"),
        (("-a", "TONE", "-o", "TAKEN"), 2, "--overwrite"),
        (("-a", "TONE", "-o", "x.npz", "--lookahead-ms", "60"), 2, "0, 40, 80"),
        (("-a", "TONE", "-o", "x.npz", "--emotion", "hapy"), 2, "happy"),
        (("-a", "TONE", "-o", "x.npz", "--plot", "x.jpg"), 2, "does not end in .png"),
        (("-a", "nothing.wav", "-o", "x.npz"), 2, "no sound nothing.wav"),
        (("-a", "EMPTY", "-o", "x.npz"), 1, "empty"),
        (("-a", "FOLDER", "-o", "x.npz"), 1, "no sound files"),
    ],
)
def test_wrong_use_is_one_line(words, code, says, tone, tmp_path, monkeypatch, shipped, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.npz").write_bytes(b"mine")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "none").mkdir()
    names = {"TONE": "tone.wav", "TAKEN": "taken.npz", "EMPTY": "empty.wav", "FOLDER": "none"}
    assert voxcam("encode", *(names.get(word, word) for word in words)) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert (tmp_path / "taken.npz").read_bytes() == b"mine"
    assert not list(tmp_path.glob(".*part"))


def test_a_folder_needs_a_folder_and_own_stems(tone, tmp_path, shipped):
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "a.wav").write_bytes(tone.read_bytes())
    assert voxcam("encode", "-a", folder, "-o", tone) == 2
    for refused in (("--plot", tmp_path / "x.png"), ("--emotion", "hapy"), ("--lookahead-ms", 60)):
        assert voxcam("encode", "-a", folder, "-o", tmp_path / "codes", *refused) == 2
        assert not (tmp_path / "codes").exists()  # what is refused leaves no folder
    (folder / "a.mp3").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"both become a\.npz"):
        sounds_in(folder)
    with pytest.raises(InputError, match="no sound files"):
        sounds_in(tmp_path / "models")


@pytest.mark.usefixtures("shipped")
def test_codes_that_came_in_the_meantime_stay(tmp_path, monkeypatch, tone, capsys):
    out, plot = tmp_path / "codes.npz", tmp_path / "codes.png"

    def another_program(name):
        for path in (out, plot):
            path.write_bytes(b"an hour of another's work")
        return nullcontext(lambda *_: None)

    monkeypatch.setattr("realtime.commands.encode.progress_bar", another_program)
    assert voxcam("encode", "--audio", tone, "--out", out, "--plot", plot) == 0
    assert out.read_bytes() == plot.read_bytes() == b"an hour of another's work"
    assert capsys.readouterr().err.splitlines() == [
        f"note: another program has written {path} since: this one is {path.with_suffix(f'.new{path.suffix}')}"
        for path in (out, plot)
    ]
    assert cv2.imread(str(tmp_path / "codes.new.png")) is not None
    assert np.load(tmp_path / "codes.new.npz")["motion"].shape[1] == 26


def test_log_mel_shows_a_tone_where_it_is():
    seconds = np.arange(16_000) / 16_000
    low, high = (log_mel(np.sin(2 * np.pi * f * seconds).astype(np.float32)).mean(0).argmax() for f in (300, 3000))
    assert low < 20 < 45 < high < 65
