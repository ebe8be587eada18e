"""Scores that mean what they say: on clips whose truth is known because it was made."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from bench.clips import Clip, find_clips, load_clips, pictures_of, read_clip, read_words
from bench.noises import at_level, level_of, made_noises, mix, recorded_noises
from bench.robustness import correlation, lip_distance, measure_robustness, named_encoders
from bench.systems import System, deaf, log_mels, loudness, picture_ends, ridge, three_bands
from engines.errors import InputError
from engines.spec import SPEC


def make_clip(talker: str, seed: int, shift: int = 0) -> Clip:
    """A voice that is a tone whose loudness is the mouth's opening, 3 s."""
    random = np.random.default_rng(seed)
    pictures = 75
    opening = np.clip(np.convolve(random.standard_normal(pictures + 6), np.ones(7) / 3, "valid"), 0, None)
    opening[:12] = opening[-12:] = 0
    ends = (np.arange(pictures) + 1) * 640
    gain = np.interp(np.arange(48_000), ends - 320, np.roll(opening, shift))
    noise = np.convolve(random.standard_normal(48_000), np.ones(8) / 8, "same")
    sound = (0.1 * gain * noise + 2e-4 * random.standard_normal(48_000)).astype(np.float32)
    motion = np.zeros((pictures, 14), np.float32)
    motion[:, 0] = opening
    lips = np.zeros((pictures, 40, 3), np.float32)
    lips[:, :, 1] = opening[:, None] * 0.1
    return Clip(talker, f"clip{seed}", sound, 25.0, motion, lips, np.zeros((40, 3), np.float32), (0.5, 2.5))


@pytest.fixture(scope="module")
def clips():
    return [make_clip(talker, seed) for seed, talker in enumerate("aabbcc")]


def test_baselines_hear_what_is_there_to_hear(clips):
    for system in (loudness(), three_bands(clips), ridge(clips)):
        found = [correlation(system.course(clip, clip.sound), clip.motion[:, 0]) for clip in clips]
        assert np.mean(found) > 0.6, system.name


def test_deaf_hears_nothing(clips):
    system = deaf(clips)
    np.testing.assert_array_equal(system.course(clips[0], clips[0].sound), system.course(clips[0], clips[3].sound))


@pytest.mark.parametrize("make", [lambda clips: loudness(), three_bands, ridge])
def test_baselines_are_causal(clips, make):
    system, clip = make(clips), clips[0]
    changed = clip.sound.copy()
    changed[30 * 640 :] = 0.3
    before, after = system.course(clip, clip.sound), system.course(clip, changed)
    np.testing.assert_allclose(before[:30], after[:30], atol=1e-6)
    assert np.abs(before[31:] - after[31:]).max() > 1e-3


def test_taught_baselines_never_see_the_talker_they_are_judged_on(clips):
    silent = [make_clip("a", 50)]
    taught = ridge([*clips[2:], *silent])
    without = ridge([*clips[2:], make_clip("a", 51)])
    np.testing.assert_allclose(taught.course(silent[0], clips[0].sound), without.course(silent[0], clips[0].sound))


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_mixture_has_the_ratio_it_says(clips, snr_db):
    sound = clips[0].sound / np.abs(clips[0].sound).max() * 0.1
    noise = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
    added = mix(sound, noise, snr_db, np.random.default_rng(0)) - sound
    assert 20 * np.log10(level_of(sound) / np.sqrt((added**2).mean())) == pytest.approx(snr_db, abs=0.1)


def test_mixture_never_clips(clips):
    loud = (clips[0].sound / np.abs(clips[0].sound).max()).astype(np.float32)
    assert np.abs(mix(loud, loud[::-1], -20, np.random.default_rng(0))).max() <= 1


def test_short_recording_is_repeated():
    assert len(at_level(np.ones(10, np.float32), 0.1, 35, np.random.default_rng(0))) == 35


def test_r_of_a_mouth_that_does_not_move_is_zero():
    assert correlation(np.zeros(10), np.arange(10.0)) == 0
    assert correlation(np.arange(10.0), np.arange(10.0)) == pytest.approx(1)


def test_lip_distance_of_the_truth_is_zero(clips):
    assert lip_distance(clips[0], clips[0].lips) == 0
    assert lip_distance(clips[0], clips[0].lips + np.array([0.03, 0.04, 9.0])) == pytest.approx(0.05, abs=1e-6)


def test_words_are_between_the_first_and_the_last(tmp_path, clips):
    path = tmp_path / "a.align"
    path.write_text("0 12500 sil\n12500 20000 bin\n20000 50000 blue\n50000 75000 sil\n")
    assert read_words(path) == (0.5, 2.0)
    assert read_words(tmp_path / "none.align") is None
    path.write_text("bin from here to there\n")
    with pytest.raises(InputError, match="start end word"):
        read_words(path)
    inside = clips[0].in_words
    assert (inside.argmax(), inside.sum()) == (12, 51)  # middles 0.5 to 2.5 s, both ends included


def test_log_mels_end_at_their_hop():
    sound = np.zeros(1600, np.float32)
    sound[800:960] = 0.5  # hop 5
    energy = log_mels(sound, 40).max(1)
    assert energy[4] < energy[5] > energy[8]
    assert energy[4] == energy[0]


def test_picture_ends():
    clip = make_clip("a", 0)
    assert picture_ends(clip)[[0, 24]].tolist() == [640, 16_000]


def test_wrong_folders(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        find_clips(tmp_path / "none")
    (tmp_path / "song.mp3").write_bytes(b"")
    with pytest.raises(InputError, match=r"GRID's layout: TALKER/CLIP\.mkv"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="holds no sounds"):
        recorded_noises(tmp_path / "none")
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "a.mkv").write_bytes(b"no video")
    with pytest.raises(InputError, match="cannot be read"):
        read_clip(tmp_path / "s1" / "a.mkv")
    with pytest.raises(InputError, match="cannot be read"):
        load_clips(tmp_path, 0)


def test_a_clip_may_have_a_colon_in_its_name(tmp_path, monkeypatch):
    """FFmpeg takes what stands before one for a protocol."""
    monkeypatch.chdir(tmp_path)
    write_silent_clip(tmp_path / "clip.mpg", 3)
    clip = Path("clip.mpg").rename("12:30.mpg")
    assert len(list(pictures_of(clip))) == 3
    soundfile.write(tmp_path / "12:30.wav", np.full(1600, 0.1, np.float32), 16_000)
    sound, picture_rate = read_clip(clip)
    assert (len(sound), picture_rate) == (1600, 25)


def write_silent_clip(path, pictures=14):
    """A still face as a film without sound, as GRID's pictures come."""
    face = cv2.imread(str(Path(__file__).parents[1] / "data" / "face.jpg"))[..., ::-1]
    side = min(face.shape[:2]) // 2 * 2
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for _ in range(pictures):
            raw = av.VideoFrame.from_ndarray(np.ascontiguousarray(face[:side, :side]), format="rgb24")
            container.mux(stream.encode(raw))
        container.mux(stream.encode(None))


def test_clips_as_grid_comes(tmp_path):
    """TALKER/video/CLIP.mpg without sound, TALKER/audio/CLIP.wav, TALKER/align/CLIP.align; one clip is broken."""
    for talker in ("s91", "s92"):
        write_silent_clip(tmp_path / talker / "video" / "mpg_6000" / "bbaf2n.mpg")
        (tmp_path / talker / "audio").mkdir()
        (tmp_path / talker / "align").mkdir()
        sound = 0.1 * np.random.default_rng(0).standard_normal(25_000).astype(np.float32)
        apart = tmp_path / talker / ("video" if talker == "s91" else "audio") / "bbaf2n.wav"
        soundfile.write(apart, sound, 25_000)
        (tmp_path / talker / "align" / "bbaf2n.align").write_text("0 2500 sil\n2500 10000 bin\n10000 14000 sil\n")
    (tmp_path / "s93").mkdir()
    (tmp_path / "s93" / "broken.mpg").write_bytes(b"no film")
    told = []
    found = load_clips(tmp_path, 0, told.append)
    assert [clip.talker for clip in found] == ["s91", "s92"]
    assert any("left out" in text and "broken.mpg" in text for text in told)
    for clip in found:
        assert len(clip.sound) == pytest.approx(16_000, abs=161)
        assert clip.words_s == (0.1, 0.4)
        assert np.isfinite(clip.motion).all()
        assert clip.motion.shape == (14, 14)


def test_clip_without_any_sound(tmp_path):
    write_silent_clip(tmp_path / "s1" / "a.mpg", 2)
    with pytest.raises(InputError, match=r"has no sound, and there is no a\.wav"):
        read_clip(tmp_path / "s1" / "a.mpg")


def test_recordings_in_one_folder_are_used(tmp_path):
    for k in range(15):
        soundfile.write(tmp_path / f"{k:02}.flac", np.full(1600, 0.1, np.float32), 16_000)
    assert len(recorded_noises(tmp_path)) == 12


def test_encoders_by_name(clips):
    assert named_encoders(()) == {"voxcam": "encoder"}
    assert named_encoders(("encoder", "without=a/b.card.json")) == {"voxcam": "encoder", "without": "a/b.card.json"}
    assert named_encoders(("runs/plain.card.json",)) == {"plain": "runs/plain.card.json"}
    rows = measure_robustness(clips[:3], (0, 80), {"voxcam": "encoder", "again": "encoder"}, snrs_db=(0.0,))
    scores = {
        (row["encoder"], row["lookahead_ms"], row["snr_db"]): (row["r_all"], row["r_in_words"], row["lip_distance"])
        for row in rows
        if row["measure"] == "mouth_opening" and "encoder" in row
    }
    assert len(scores) == 8
    for (encoder, lookahead_ms, snr), score in scores.items():
        assert score == scores["again" if encoder == "voxcam" else "voxcam", lookahead_ms, snr]
    apart = [row for row in rows if row["measure"] == "difference"]
    assert {row["of"] for row in apart} == {"voxcam less again"}
    assert {(row["score"], row["lookahead_ms"], row["snr_db"]) for row in apart} == {
        (score, lookahead_ms, snr)
        for score in ("r_all", "r_in_words", "lip_distance")
        for lookahead_ms in (0, 80)
        for snr in ("clean", "0")
    }
    assert all(row["value"] == row["value_error"] == 0 for row in apart), "one encoder twice hears the same noise twice"


def test_clips_are_taken_evenly_over_talkers(tmp_path):
    for talker, count in (("s1", 5), ("s2", 1), ("s3", 3)):
        for k in range(count):
            (tmp_path / talker).mkdir(exist_ok=True)
            (tmp_path / talker / f"{k}.mp4").write_bytes(b"")
    assert [talker for talker, _ in find_clips(tmp_path, 5)] == ["s1", "s1", "s2", "s3", "s3"]
    assert len(find_clips(tmp_path)) == 9


def test_all_rows(rig, clips):
    """The shipped encoder on these tones: rows for every system and SNR, and noise that opens what follows loudness."""
    rows = measure_robustness(clips[:3], (0,), snrs_db=(0.0,))
    mouth = [(row["system"], row["snr_db"]) for row in rows if row["measure"] == "mouth_opening"]
    assert ("voxcam 0 ms", "0") in mouth
    assert ("deaf", "clean") in mouth
    assert ("deaf", "0") not in mouth
    assert ("still photo", "clean") in mouth
    shares = {r["system"]: r["value"] for r in rows if r["measure"] == "open_on_noise_alone" and r["noise"] == "pink"}
    assert shares["loudness"] == 1.0
    assert all(np.isfinite(row.get("value", 0.0)) for row in rows)


def test_made_noises_are_of_several_kinds(clips):
    noises = made_noises(clips, 0)
    assert {kind for kind, _ in noises} == {"pink", "speech-shaped", "modulated", "babble"}
    assert all(len(sound) == 6 * SPEC.sample_rate_hz and np.isfinite(sound).all() for _, sound in noises)
    assert isinstance(loudness(), System)
