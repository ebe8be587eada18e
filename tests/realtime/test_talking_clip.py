"""`voxcam enroll --clip`: a video of somebody who speaks teaches how far the mouth goes."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest

from engines.encoder import Encoder, open_encoder
from engines.errors import InputError, WrongInput
from engines.face.landmarker import Landmarker
from engines.generator import Generator
from engines.motion.laws import WITH_OPENING
from engines.motion.reach import OPEN, TYPICAL_REACH
from engines.portrait import Portrait
from engines.spec import MOTION_CHANNELS
from realtime.commands.enroll import enroll
from realtime.commands.render import render_file
from realtime.engines_in_use import open_engines
from realtime.faces import load_portrait
from realtime.talking_clip import follow_face, learn_from_clip, measures_of, pictures_of, teeth_from_clip

ASSETS = files("realtime") / "assets"
PORTRAIT, SPEECH = Path(str(ASSETS / "portrait.jpg")), Path(str(ASSETS / "speech.opus"))


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return load_portrait(PORTRAIT, camera=(480, 480)).portrait


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def film(folder: Path, portrait: Portrait, name: str, articulation: float) -> Path:
    """The demo's person, who says its sentence and opens the mouth so far."""
    with open_engines(emotion="off", articulation=articulation) as engines:
        render_file(portrait, engines, SPEECH, folder / name, lookahead_ms=80)
    return folder / name


@pytest.fixture(scope="module")
def calm(folder: Path, portrait: Portrait) -> Path:
    return film(folder, portrait, "calm.mp4", 0.6)


@pytest.fixture(scope="module")
def readers() -> Iterator[tuple[Landmarker, Encoder]]:
    with Landmarker() as landmarker, open_encoder() as encoder:
        yield landmarker, encoder


def test_who_opens_little_is_drawn_so(
    folder: Path, portrait: Portrait, calm: Path, readers: tuple[Landmarker, Encoder]
) -> None:
    wide = film(folder, portrait, "wide.mp4", 1.5)
    told: list[float] = []
    calm_reach, face = learn_from_clip(calm, *readers, progress=lambda done_s, total_s: told.append(done_s / total_s))
    wide_reach, _ = learn_from_clip(wide, *readers)
    assert calm_reach.factors[OPEN] == pytest.approx(0.6, abs=0.08)
    assert wide_reach.factors[OPEN] == pytest.approx(1.5, abs=0.2)
    assert calm_reach.helps
    assert abs(calm_reach.offset_ms) <= 40
    assert face.shape == (478, 3)
    assert told == sorted(told)
    assert 0.9 < told[-1] <= 1.05


def test_enroll_keeps_it_and_render_moves_so(calm: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = folder / "person.npz"
    enroll(PORTRAIT, kept, camera_size="480x480", clip=calm)
    err = " ".join(capsys.readouterr().err.split())
    enrolled = load_portrait(kept).portrait
    assert f"your mouth opens {enrolled.reach[OPEN]:.1f} times as far as most people's" in err
    assert "another person" not in err
    assert enrolled.reach[OPEN] == pytest.approx(0.6, abs=0.08)
    with open_engines() as engines:
        engines.take_up(enrolled)
        assert engines.shaper.reach is enrolled.reach


def test_without_a_clip_the_mouth_moves_as_most_do(portrait: Portrait) -> None:
    assert np.array_equal(portrait.reach, TYPICAL_REACH)


def turned(path: Path, target: Path) -> Path:
    """The same mp4, whose track says that it is to be shown a quarter turned, as phones write."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + (32 if data[data.index(b"tkhd") + 4] == 1 else 20) + 16
    assert struct.unpack(">9i", data[at : at + 36])[::4] == (0x10000, 0x10000, 0x40000000)
    data[at : at + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    target.write_bytes(data)
    return target


def test_a_phones_clip_is_seen_upright(calm: Path, tmp_path: Path) -> None:
    plain = next(pictures_of(calm))[1]
    shown = next(pictures_of(turned(calm, tmp_path / "turned.mp4")))[1]
    assert np.array_equal(shown, np.rot90(plain, -1))  # a quarter with the clock


def test_pictures_know_their_time_in_the_sound(calm: Path) -> None:
    times = np.array([time_s for time_s, _ in pictures_of(calm)])
    assert np.diff(times) == pytest.approx(0.04, abs=1e-3)
    assert times[0] == pytest.approx(0.02, abs=0.025)  # an AAC stream may begin a little before zero


def write_clip(path: Path, pictures: list[np.ndarray], sound: np.ndarray | None) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.height, video.width, video.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono") if sound is not None else None
        for picture in pictures:
            for packet in video.encode(av.VideoFrame.from_ndarray(picture)):
                container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
        if audio is not None and sound is not None:
            block = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            block.sample_rate = 16_000
            for packet in [*audio.encode(block), *audio.encode()]:
                container.mux(packet)
    return path


def test_a_face_that_goes_and_comes_is_found_again(
    portrait: Portrait, readers: tuple[Landmarker, Encoder], tmp_path: Path
) -> None:
    grey = np.full_like(portrait.photo, 128)
    moved = np.roll(portrait.photo, 80, axis=1)
    pictures = [portrait.photo] * 3 + [grey] * 2 + [moved] * 3
    landmarks, times_s = follow_face(write_clip(tmp_path / "a.mp4", pictures, None), readers[0])
    assert len(landmarks) == len(times_s) == len(pictures)
    assert np.isnan(landmarks[3:5]).all()
    nose = landmarks[:, 4, 0]
    assert nose[7] - nose[0] == pytest.approx(80, abs=3)
    measures, face = measures_of(landmarks)
    assert np.isfinite(measures[[0, 7]]).all()
    assert np.isfinite(face).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.mp4", "there is no clip"),
        ("still.wav", "holds no pictures"),
        ("mute.mp4", "holds no sound"),
        ("nobody.mp4", "shows no face"),
        ("silent.mp4", "of speech with a face to see"),
        ("text.mp4", "cannot read"),
    ],
)
def test_clips_that_teach_nothing(
    name: str, message: str, portrait: Portrait, readers: tuple[Landmarker, Encoder], tmp_path: Path
) -> None:
    import soundfile

    path, silence = tmp_path / name, np.zeros(16_000 * 3)
    grey = np.full((240, 320, 3), 128, np.uint8)
    makers = {
        "still.wav": lambda: soundfile.write(path, silence, 16_000),
        "mute.mp4": lambda: write_clip(path, [portrait.photo] * 25, None),
        "nobody.mp4": lambda: write_clip(path, [grey] * 5, silence),
        "silent.mp4": lambda: write_clip(path, [portrait.photo] * 75, silence),
        "text.mp4": lambda: path.write_text("no video"),
    }
    if name in makers:
        makers[name]()
    with pytest.raises(InputError, match=message) as told:
        learn_from_clip(path, *readers)
    assert str(path) in told.value.what
    assert isinstance(told.value, WrongInput) == (name == "missing.mp4")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
@pytest.mark.parametrize("option", ["clip", "teeth"])
@pytest.mark.parametrize(("make", "kind"), [(lambda path: os.mkfifo(path), "a pipe"), (Path.mkdir, "a folder")])
def test_a_clip_that_is_no_file_is_told_before_the_photo_is_looked_at(
    tmp_path: Path, option: str, make: Callable[[Path], None], kind: str
) -> None:
    make(tmp_path / "clip.mp4")
    with pytest.raises(WrongInput, match=f"clip.mp4 is {kind}.*not a file"):
        enroll(PORTRAIT, tmp_path / "kept.npz", **{option: tmp_path / "clip.mp4"})  # type: ignore[arg-type]


def test_teeth_come_from_a_clips_widest_smile(
    portrait: Portrait, readers: tuple[Landmarker, Encoder], tmp_path: Path
) -> None:
    """Of a smile that comes and goes, drawn by the generator."""
    smile = 0.2 * WITH_OPENING
    smile[[MOTION_CHANNELS.index(name) for name in ("mouthSmileLeft", "mouthSmileRight", "mouthStretch")]] = 0.1
    smile[MOTION_CHANNELS.index("mouthUpperUp")] = 0.08
    generator = Generator()
    pictures = [
        generator.draw((smile * strength).astype(np.float32), portrait).copy()
        for strength in (0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0)
    ]
    best = teeth_from_clip(write_clip(tmp_path / "smile.mp4", pictures, None), readers[0])
    apart = [np.abs(best.astype(int) - picture).mean() for picture in pictures]
    assert int(np.argmin(apart)) == 3
    grey = np.full((240, 320, 3), 128, np.uint8)
    for shut in (
        write_clip(tmp_path / "shut.mp4", pictures[:2], None),
        write_clip(tmp_path / "grey.mp4", [grey], None),
    ):
        with pytest.raises(InputError, match="shows none"):
            teeth_from_clip(shut, readers[0])
    with pytest.raises(WrongInput):
        teeth_from_clip(tmp_path / "missing.mp4", readers[0])
