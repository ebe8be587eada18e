"""Whatever bytes a stranger brings as photo or sound: pixels or samples come out, or one error in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.errors import InputError, WrongInput
from engines.face.photo import MIN_SIDE_PX, read_photo
from realtime import cli
from realtime.audio.sound import SoundFile

Run = Callable[..., tuple[int, list[str]]]
PHOTOS = (".jpg", ".png", ".webp", ".gif", ".tif", ".bmp", ".avif")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".mkv", ".mp4")
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@cache
def photo_bytes(ending: str) -> bytes:
    """A small picture with edges and colours."""
    y, x = np.mgrid[:220, :210]
    picture = np.stack([x, y, (x // 20 + y // 20) % 2 * 200], -1).astype(np.uint8)
    written, encoded = cv2.imencode(ending, picture)
    assert written
    return encoded.tobytes()


@cache
def sound_bytes(ending: str, folder: Path) -> bytes:
    """A third of a second of a tone with noise."""
    path = folder / f"tone{ending}"
    random = np.random.default_rng(0)
    samples = (0.3 * np.sin(np.arange(5_000) / 5) + 0.01 * random.standard_normal(5_000)).astype(np.float32)
    if ending in (".mkv", ".mp4"):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=16_000)
            stream.layout = "mono"
            raw = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
            raw.sample_rate = 16_000
            for packet in (*stream.encode(raw), *stream.encode(None)):
                container.mux(packet)
    else:
        soundfile.write(path, samples, 16_000)
    return path.read_bytes()


@st.composite
def damage(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Places (share of the file) and what is put there; -1 cuts the file off."""
    places = st.one_of(st.floats(0, 0.02), st.floats(0, 1, exclude_max=True))  # headers are hit often
    return draw(st.lists(st.tuples(places, st.integers(-1, 255)), max_size=6))


def damaged(content: bytes, changes: list[tuple[float, int]]) -> bytes:
    changed = bytearray(content)
    for place, value in changes:
        at = int(place * len(changed))
        if value < 0:
            del changed[at:]
        elif changed:
            changed[at] = value
    return bytes(changed)


def one_line(error: InputError) -> None:
    assert error.fix
    assert "\n" not in str(error)


@pytest.mark.parametrize("ending", PHOTOS)
@FUZZ
@given(changes=damage())
def test_damaged_photos(tmp_path: Path, ending: str, changes: list[tuple[float, int]]) -> None:
    path = tmp_path / f"photo{ending}"
    path.write_bytes(damaged(photo_bytes(ending), changes))
    try:
        rgb = read_photo(path)
    except InputError as error:
        one_line(error)
        return
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3
    assert min(rgb.shape[:2]) >= MIN_SIDE_PX


@pytest.mark.parametrize("ending", SOUNDS)
@FUZZ
@given(changes=damage())
def test_damaged_sounds(tmp_path: Path, ending: str, changes: list[tuple[float, int]]) -> None:
    path = tmp_path / f"sound{ending}"
    path.write_bytes(damaged(sound_bytes(ending, tmp_path), changes))
    try:
        with SoundFile(path) as sound:
            for count, block in enumerate(sound.blocks()):
                assert block.dtype == np.float32
                assert np.isfinite(block).all()
                assert np.abs(block).max() <= 1
                if count > 300:  # a damaged header may announce days of sound
                    return
            sound.warnings()
    except InputError as error:
        one_line(error)


@FUZZ
@given(content=st.binary(max_size=2_000), begin=st.sampled_from([b"", b"RIFF", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes(tmp_path: Path, content: bytes, begin: bytes) -> None:
    path = tmp_path / "thing.jpg"
    path.write_bytes(begin + content)
    with pytest.raises(InputError):
        read_photo(path)
    try:
        with SoundFile(path) as sound:
            for _, _ in zip(range(300), sound.blocks(), strict=False):
                pass
    except InputError as error:
        one_line(error)


@pytest.mark.parametrize("place", ["", "missing.jpg", ".", "/dev/zero"])
def test_paths_that_lead_to_no_photo(tmp_path: Path, place: str) -> None:
    """A device that never ends must not be read to the end."""
    if place == "/dev/zero" and not Path(place).exists():
        pytest.skip("no such device here")
    for read in (read_photo, SoundFile):
        with pytest.raises(WrongInput) as told:
            read(Path(place) if place.startswith("/") else tmp_path / place)
        assert told.value.exit_code == 2


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in this process: exit code, stderr; no signal handlers stay behind."""
    monkeypatch.setattr(cli.interrupts, "install", lambda: None)

    def run_it(*arguments: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        return int(ended.value.code or 0), capfd.readouterr().err.splitlines()

    return run_it


CHECKED = ("render", "enroll", "encode", "nothing")  # commands that end at bad arguments; others would run for real
OPTIONS = ("--portrait", "-p", "--audio", "-a", "-o", "--out", "--fps", "--seed", "--size", "--emotion", "--plot")
VALUES = (
    "",
    "-1",
    "0",
    "1e9",
    "nan",
    "=",
    "a=b",
    "--",
    "-",
    "no/such/file",
    "\u200b",
    "\n",
    "x" * 300,
    "happiness:2",
    "25",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    command=st.sampled_from(CHECKED),
    words=st.lists(st.one_of(st.sampled_from((*OPTIONS, *VALUES)), st.text(max_size=8)), max_size=7),
)
def test_any_command_line_gets_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: list[str]
) -> None:
    """No photo is there, so that whatever else is typed cannot succeed: one line that is no fault of ours."""
    monkeypatch.chdir(tmp_path)
    code, said = run(command, *(word.replace("\0", "") for word in words))
    if "-h" in words or "--help" in words:
        return
    assert code in (1, 2)
    (line,) = [line for line in said if line.startswith("voxcam: ")]
    assert "VOXCAM_DEBUG" not in line, "a fault of ours is not for the user"
    assert list(tmp_path.iterdir()) == []
