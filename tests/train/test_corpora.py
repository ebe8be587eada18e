"""Loaders on tiny corpora in each official layout."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from engines.errors import ConfigError, InputError, WrongInput
from engines.spec import EMOTIONS
from train.data.corpora import LOADERS, load_corpus, sound_of
from train.data.corpus_check import check_sounds, table

RATE = 16_000


def write_sound(path: Path, seconds: float = 0.5, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * 220 * time), rate)
    return path


def write_video(path: Path, seconds: float = 0.4) -> Path:
    """A grey picture and a tone, in a Matroska or MP4 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream("pcm_s16le" if path.suffix == ".mkv" else "aac", rate=RATE, layout="mono")
        for _ in range(int(seconds * 25)):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode())
        tone = (3000 * np.sin(np.arange(int(seconds * RATE)) * 0.1)).astype(np.int16)
        block = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        block.rate = RATE
        resampler = av.AudioResampler(format=sound.codec_context.format, layout="mono", rate=RATE, frame_size=1024)
        for piece in (*resampler.resample(block), *resampler.resample(None)):
            container.mux(sound.encode(piece))
        container.mux(sound.encode())
    return path


@pytest.fixture
def grid_official(tmp_path: Path) -> Path:
    for talker in ("s1", "s3"):
        write_video(tmp_path / talker / "bbaf2n.mpg".replace("mpg", "mp4"))
        align = tmp_path / talker / "align" / "bbaf2n.align"
        align.parent.mkdir(parents=True)
        align.write_text("0 23750 sil\n23750 29500 bin\n29500 74500 sil\n")
    return tmp_path


@pytest.fixture
def grid_shared(tmp_path: Path) -> Path:
    write_video(tmp_path / "train" / "s3" / "bbaf2n.mkv").with_suffix(".align").write_text(
        "0 23750 sil\n23750 29500 bin\n"
    )
    write_video(tmp_path / "val" / "s5" / "lgbf8n.mkv")
    (tmp_path / "phones.tsv").write_text(
        "clip\tstart_s\tend_s\tphone\ntrain/s3/bbaf2n\t0\t0.95\tSIL\ntrain/s3/bbaf2n\t0.95\t0.99\tB\n"
    )
    return tmp_path


@pytest.fixture
def crema(tmp_path: Path) -> Path:
    for name in ("1001_DFA_ANG_XX", "1005_IEO_HAP_HI"):
        write_sound(tmp_path / "AudioWAV" / f"{name}.wav")
    (tmp_path / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n1001,51,Male\n1005,37,Female\n")
    return tmp_path


@pytest.fixture
def lrs3_root(tmp_path: Path) -> Path:
    for part, speaker in (("trainval", "abc"), ("test", "xyz"), ("pretrain", "abc")):
        video = write_video(tmp_path / part / speaker / "00001.mp4")
        video.with_suffix(".txt").write_text(
            "Text:  HELLO YOU\nConf: 5\n\nWORD START END ASDSCORE\nHELLO 0.1 0.4 5\nYOU 0.4 0.6 5\n"
        )
    return tmp_path


@pytest.fixture
def ravdess_root(tmp_path: Path) -> Path:
    write_sound(tmp_path / "Actor_01" / "03-01-05-02-01-01-01.wav", rate=48_000)
    write_sound(tmp_path / "Actor_24" / "03-01-08-01-02-02-24.wav")
    return tmp_path


@pytest.fixture
def wav_folder(tmp_path: Path) -> Path:
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "more" / "b.wav", rate=44_100)
    (tmp_path / "clips.csv").write_text(
        "file,split,speaker,gender,emotion,valence,arousal\na.wav,train,ann,f,anger,-0.5,0.9\nmore/b.wav,val,bob,m,,,\n"
    )
    return tmp_path


def test_grid_in_its_official_layout(grid_official: Path) -> None:
    clips = load_corpus("grid", grid_official)
    assert [(c.speaker, c.split, c.gender) for c in clips] == [("grid/s3", "train", "m"), ("grid/s1", "val", "m")]
    assert clips[0].words == ((0.0, 0.95, "sil"), (0.95, 1.18, "bin"), (1.18, 2.98, "sil"))
    assert clips[0].pictures is not None


def test_grid_in_the_shared_layout(grid_shared: Path) -> None:
    clips = load_corpus("grid", grid_shared)
    assert [c.key for c in clips] == ["grid/train/s3/bbaf2n", "grid/val/s5/lgbf8n"]
    assert clips[0].phones == ((0.0, 0.95, "SIL"), (0.95, 0.99, "B"))
    assert clips[1].words is None
    assert len(sound_of(clips[0].sound)) == pytest.approx(0.4 * RATE, abs=1024)


def test_crema_d(crema: Path) -> None:
    clips = load_corpus("crema_d", crema)
    assert [(c.speaker, c.split, c.gender, c.emotion) for c in clips] == [
        ("crema_d/1001", "train", "m", "anger"),
        ("crema_d/1005", "val", "f", "happiness"),
    ]
    assert clips[0].valence is not None
    assert clips[0].valence < 0 < clips[0].arousal  # type: ignore[operator]


def test_crema_d_names_an_emotion_it_does_not_know(crema: Path) -> None:
    write_sound(crema / "AudioWAV" / "1002_DFA_ODD_XX.wav")
    with pytest.raises(InputError, match="ODD"):
        load_corpus("crema_d", crema)


@pytest.mark.skipif("VOXCAM_DATA" not in os.environ, reason="VOXCAM_DATA names no data")
def test_crema_d_reads_the_real_clips() -> None:
    folder = Path(os.environ["VOXCAM_DATA"]) / "crema_d"
    if not folder.is_dir():
        pytest.skip("no crema_d there")
    clips = load_corpus("crema_d", folder)
    assert len(clips) == 12
    assert {clip.emotion for clip in clips} == set(EMOTIONS) - {"boredom"}
    assert sum(clip.pictures is not None for clip in clips) == 6
    for clip in clips:
        sound = sound_of(clip.sound)
        assert 1.5 * RATE < len(sound) < 4 * RATE
        assert 0.005 < np.abs(sound).max() <= 1.5


def test_lrs3(lrs3_root: Path) -> None:
    clips = load_corpus("lrs3", lrs3_root)
    assert {c.key: c.split for c in clips} == {
        "lrs3/pretrain/abc/00001": "train",
        "lrs3/trainval/abc/00001": "train",
        "lrs3/test/xyz/00001": "val",
    }
    assert clips[0].words == ((0.1, 0.4, "hello"), (0.4, 0.6, "you"))


def test_lrs3_without_its_texts(lrs3_root: Path) -> None:
    (lrs3_root / "test" / "xyz" / "00001.txt").unlink()
    with pytest.raises(InputError, match=r"00001\.txt is missing"):
        load_corpus("lrs3", lrs3_root)


def test_ravdess(ravdess_root: Path) -> None:
    clips = load_corpus("ravdess", ravdess_root)
    assert [(c.speaker, c.split, c.gender, c.emotion) for c in clips] == [
        ("ravdess/01", "train", "m", "anger"),
        ("ravdess/24", "val", "f", None),  # surprise is none of the classes
    ]
    assert len(sound_of(clips[0].sound)) == pytest.approx(0.5 * RATE, abs=2)


def test_folder_of_wavs(wav_folder: Path) -> None:
    clips = load_corpus("wavs", wav_folder)
    assert [(c.speaker, c.split, c.emotion, c.arousal) for c in clips] == [
        ("wavs/ann", "train", "anger", 0.9),
        ("wavs/bob", "val", None, None),
    ]
    assert len(sound_of(clips[1].sound)) == pytest.approx(0.5 * RATE, abs=2)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("a.wav,test,ann,f,anger,0,0", "test"),
        ("a.wav,train,ann,f,angry,0,0", "angry"),
        ("a.wav,train,ann,f,,2,0", "valence"),
    ],
)
def test_folder_of_wavs_names_what_is_out_of_range(wav_folder: Path, row: str, named: str) -> None:
    (wav_folder / "clips.csv").write_text(f"file,split,speaker,gender,emotion,valence,arousal\n{row}\n")
    with pytest.raises(InputError, match=named):
        load_corpus("wavs", wav_folder)


def test_a_missing_sound_is_named(wav_folder: Path) -> None:
    (wav_folder / "a.wav").unlink()
    with pytest.raises(InputError, match=r"a\.wav"):
        load_corpus("wavs", wav_folder)


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_every_loader_names_a_wrong_layout(tmp_path: Path, name: str) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError) as caught:
        load_corpus(name, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.fix


def test_an_unknown_corpus_is_named() -> None:
    with pytest.raises(ConfigError, match="grid"):
        load_corpus("gird", Path())


def test_sounds_that_are_none(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    (tmp_path / "damaged.wav").write_bytes(b"RIFF1234WAVE" + bytes(40))
    (tmp_path / "text.mp3").write_text("not a sound")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.1]), RATE, subtype="FLOAT")
    for name in ("empty.wav", "damaged.wav", "text.mp3", "nan.wav", "absent.wav"):
        with pytest.raises(InputError, match=name):
            sound_of(tmp_path / name)


def test_table_counts_and_names_shared_speakers(wav_folder: Path) -> None:
    (wav_folder / "clips.csv").write_text("file,split,speaker\na.wav,train,ann\nmore/b.wav,val,ann\n")
    text = table("wavs", load_corpus("wavs", wav_folder))
    assert "2 clips" in text
    assert "both sides: wavs/ann" in text


HEAD = b"file,split,speaker,valence\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no column"),
        (HEAD, "lists nothing"),
        (HEAD + b"a.wav,train,ann,much\n", "'much' is no number"),
        (HEAD + b"a.wav,train,ann,nan\n", "no finite number"),
        (HEAD + b"a.wav,train\n", "line 2"),
        (HEAD + b"a.wav,train,ann,0,0,0\n", "line 2"),
        (HEAD + b'"a.wav,train,ann,0\n', "no table"),
        (HEAD + b"\xff\xfe.wav,train,ann,0\n", "UTF-8"),
        (HEAD + b"a.wav,train,ann,0\na.wav,val,bob,0\n", "listed twice"),
    ],
)
def test_tables_that_are_none(wav_folder: Path, content: bytes, named: str) -> None:
    (wav_folder / "clips.csv").write_bytes(content)
    with pytest.raises(InputError, match=named):
        load_corpus("wavs", wav_folder)


def test_an_empty_file_is_named(wav_folder: Path) -> None:
    (wav_folder / "a.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.wav is empty"):
        load_corpus("wavs", wav_folder)


def test_word_times_that_are_none(grid_official: Path) -> None:
    align = grid_official / "s1" / "align" / "bbaf2n.align"
    for content in (b"0 23750\n", b"0 soon sil\n", b"\xff\xfe"):
        align.write_bytes(content)
        with pytest.raises(InputError, match=r"bbaf2n\.align"):
            load_corpus("grid", grid_official)


def test_lrs3_times_that_are_none(lrs3_root: Path) -> None:
    (lrs3_root / "test" / "xyz" / "00001.txt").write_text("WORD START END ASDSCORE\nHELLO soon 0.4 5\n")
    with pytest.raises(InputError, match=r"00001\.txt: 'soon'"):
        load_corpus("lrs3", lrs3_root)


def test_check_names_sounds_that_cannot_be_read(wav_folder: Path) -> None:
    check_sounds(load_corpus("wavs", wav_folder))
    (wav_folder / "a.wav").write_bytes(b"RIFF1234WAVE" + bytes(40))
    soundfile.write(wav_folder / "more" / "b.wav", np.zeros(0), RATE)
    with pytest.raises(InputError, match=r"2 of 2 sounds .*a\.wav.*b\.wav is empty"):
        check_sounds(load_corpus("wavs", wav_folder))


def test_a_folder_that_is_none_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="no folder"):
        load_corpus("grid", tmp_path / "absent")
