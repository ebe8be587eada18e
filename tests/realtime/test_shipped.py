"""The shipped engines on the product's own path: chunks, prefixes, determinism, the demo, a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from engines.portrait import Portrait
from engines.spec import MOTION_CHANNELS, SPEC
from realtime.audio.sources import BlockSource
from realtime.engines_in_use import open_engines, seed_of
from realtime.faces import frame_photo, load_portrait
from realtime.pictures.sinks import Sink
from realtime.pipeline import Pipeline, run

ROOT = Path(__file__).parents[2]
FACE = ROOT / "tests" / "data" / "face.jpg"


class Prints(Sink):
    """Keeps a small print of each picture."""

    def __init__(self) -> None:
        self.prints: dict[int, bytes] = {}

    def send(self, picture: object) -> None:
        self.prints[picture.index] = picture.pixels[::2, ::2].tobytes()  # type: ignore[attr-defined]


def speech(seconds: float = 1.6) -> np.ndarray:
    with (files("realtime") / "assets" / "speech.opus").open("rb") as file:
        samples, rate = soundfile.read(file, dtype="float32")
    assert rate == SPEC.sample_rate_hz
    return samples[4_000 : 4_000 + round(seconds * rate)]


@pytest.fixture(scope="module")
def portrait() -> object:
    return load_portrait(FACE, "face").portrait


def render(portrait: object, samples: np.ndarray, cuts: list[int], lookahead_ms: int = 40, seed: int = 5):
    edges = [0, *cuts, len(samples)]
    blocks = (samples[a:b, None] for a, b in pairwise(edges))
    sink, codes = Prints(), []
    with open_engines(seed=seed) as engines:
        pipeline = Pipeline(
            BlockSource(blocks, SPEC.sample_rate_hz, 1, paced=False),
            engines.encoder,
            engines.shaper,
            engines.generator,
            portrait,
            [sink],
            size=portrait.size,  # type: ignore[attr-defined]
            lookahead_ms=lookahead_ms,
        )
        pipeline.voice.on_code.append(lambda code: codes.append(code.motion))
        run(pipeline, every_s=0.01)
    return sink.prints, np.array(codes)


DRAW_WILDLY = """
import sys
import numpy as np
from numba.core.registry import CPUDispatcher
from engines.generator import HIGH, LOW
from realtime.engines_in_use import open_engines, seed_of
from realtime.faces import load_portrait

def loaded():
    ours = [module for name, module in sys.modules.items() if name.startswith("engines.")]
    kernels = [value for module in ours for value in vars(module).values() if isinstance(value, CPUDispatcher)]
    return sorted({f"{each.py_func.__name__} {kind}" for each in kernels for kind in each.signatures})

random = np.random.default_rng(1)
portrait = load_portrait(sys.argv[1], "face").portrait
with open_engines() as engines:
    engines.take_up(portrait)
    before = loaded()
    for _ in range(40):
        engines.generator.draw(np.where(random.random(len(LOW)) < 0.5, LOW, HIGH), portrait)
print(len(before), set(loaded()) - set(before))
"""


def test_no_code_is_loaded_or_compiled_in_mid_stream(portrait: object) -> None:
    """The first blink took over a second where its kernel had to be compiled."""
    done = subprocess.run(
        [sys.executable, "-c", DRAW_WILDLY, str(FACE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    before, later = done.stdout.split(maxsplit=1)
    assert int(before) > 10
    assert later.strip() == "set()"


@pytest.mark.parametrize("step_ms", [1, 10, 37])
def test_any_chunks_give_bit_equal_codes_and_pictures(portrait: object, step_ms: int) -> None:
    samples = speech()
    whole_prints, whole_codes = render(portrait, samples, [])
    step = SPEC.sample_rate_hz * step_ms // 1000
    prints, codes = render(portrait, samples, list(range(step, len(samples), step)))
    assert np.array_equal(codes, whole_codes)
    assert prints == whole_prints
    assert np.ptp(whole_codes[:, MOTION_CHANNELS.index("jawOpen")]) > 0.01


@pytest.mark.parametrize("lookahead_ms", SPEC.lookaheads_ms)
def test_more_sound_never_changes_what_was(portrait: object, lookahead_ms: int) -> None:
    samples = speech()
    first, first_codes = render(portrait, samples[:12_800], [], lookahead_ms)
    later, later_codes = render(portrait, samples, [], lookahead_ms)
    assert np.array_equal(first_codes[:40], later_codes[:40])
    safe = [i for i in first if (i + 1) * 640 + lookahead_ms * 16 <= 12_800]
    assert len(safe) >= 18
    assert all(first[i] == later[i] for i in safe)


def test_each_photo_has_a_seed_of_its_own_and_each_call(portrait: Portrait) -> None:
    other = replace(portrait, photo=portrait.photo[:, ::-1].copy())
    assert seed_of(portrait) == seed_of(replace(portrait, photo=portrait.photo.copy()))
    assert len({seed_of(portrait), seed_of(other), seed_of(portrait, 5), seed_of(portrait, 6)}) == 4


def test_the_seed_decides_and_nothing_else_does(portrait: object) -> None:
    samples = speech(0.8)
    once, _ = render(portrait, samples, [], seed=1)
    again, _ = render(portrait, samples, [], seed=1)
    other, _ = render(portrait, samples, [], seed=2)
    assert once == again
    assert once != other


def test_portraits_are_cached_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path / "cache"))
    photo = tmp_path / "me.jpg"
    photo.write_bytes(FACE.read_bytes())
    first = load_portrait(photo, "face").portrait
    kept = list((tmp_path / "cache" / "portraits").glob("*.npz"))
    assert len(kept) == 1
    load_portrait(photo, "face")
    load_portrait(photo, "face", use_cache=False)
    assert list((tmp_path / "cache" / "portraits").glob("*.npz")) == kept
    kept[0].write_bytes(b"damaged")
    again = load_portrait(photo, "face").portrait
    assert np.array_equal(first.photo, again.photo)
    assert kept[0].stat().st_size > 1_000
    load_portrait(photo, camera=(320, 180))
    assert len(list((tmp_path / "cache" / "portraits").glob("*.npz"))) == 2


@pytest.mark.parametrize("camera", [(1280, 720), (640, 480), (360, 640)])
def test_a_photo_is_framed_for_the_camera_around_the_face(camera: tuple[int, int]) -> None:
    photo = np.zeros((900, 700, 3), np.uint8)
    cv2.circle(photo, (400, 300), 40, (255, 255, 255), -1)
    landmarks = np.tile(np.array([400.0, 300.0, 0.0], np.float32), (478, 1))
    framed, moved = frame_photo(photo, landmarks, camera)
    assert framed.shape == (camera[1], camera[0], 3)
    ys, xs = np.nonzero(framed[..., 0] > 128)
    assert moved[0, 0] == pytest.approx(xs.mean(), abs=1.5)
    assert moved[0, 1] == pytest.approx(ys.mean(), abs=1.5)
    assert 0.2 < moved[0, 1] / camera[1] < 0.6


def test_a_narrow_photo_goes_on_beside_itself() -> None:
    """Wall above, a shelf below, lighter on the right: both go on to the picture's ends, with no edge and no copy."""
    wall, shelf = np.array([180.0, 170, 160]), np.array([90.0, 60, 40])
    photo = np.where((np.arange(900) < 600)[:, None, None], wall, shelf) * np.linspace(0.8, 1.1, 600)[None, :, None]
    photo = photo.astype(np.uint8)
    cv2.circle(photo, (300, 360), 90, (255, 255, 255), -1)
    landmarks = np.tile(np.array([300.0, 360.0, 0.0], np.float32), (478, 1))
    landmarks[0, 1] += 500
    framed = frame_photo(photo, landmarks, (1280, 720))[0].astype(float)
    xs = np.nonzero((framed > 250).all(2))[1]
    assert 540 < xs.min() < xs.max() < 740
    for x, share in ((10, 0.8), (1270, 1.1)):
        assert np.abs(framed[100:300, x] - share * wall).max() < 8
        assert np.abs(framed[-60:, x] - share * shelf).max() < 8
    steps = np.abs(np.diff(framed[80:120], axis=1)).max((0, 2))
    assert steps.max() < 6


@pytest.mark.slow
def test_the_demo_works_from_an_installed_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    copy = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert tracked, "a wheel is built from what git tracks"
    for name in tracked:
        if (ROOT / name).is_file() and name.split("/")[0] not in ("docs", "tests"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*build, str(copy)], check=True, timeout=300, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed, work = tmp_path / "installed", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(installed)
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); from realtime.cli import main; main(['demo'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=work,
        env={**os.environ, "VOXCAM_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "real-time factor" in done.stdout
    assert "voxcam live --portrait me.jpg" in done.stdout
    assert cv2.imread(str(work / "out" / "demo.png")) is not None
    with av.open(str(work / "out" / "demo.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 139
        assert container.streams.audio
