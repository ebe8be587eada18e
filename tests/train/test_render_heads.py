"""Rendered heads for training: what is missing is said, what was cut off goes on, what fails is left out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from engines.errors import ConfigError
from train.data.render_heads import FIRST_SEED, MOUTHS, PARTS, SHAPES, draw_mouth, open_renderer, render

PHOTO = Path(__file__).parents[1] / "data" / "face.jpg"
FAKE = """
import cv2, numpy as np
VIS = {name: {"jawOpen": 0.9, name: 0.8} for name in "AA EE IH OH OU FF PP TH smile brows blink".split()}
TONG = {"TH": (0.4, 0.9)}
def sample_cfg(seed, renderer):
    return seed
class Renderer:
    def __init__(self, size, ss):
        self.picture = cv2.resize(cv2.imread(PHOTO)[..., ::-1], (size, size), interpolation=cv2.INTER_AREA)
    def set_identity(self, seed):
        if seed % 2:
            raise KeyError("afro01")
    def frame(self, weights, pose=(0, 0, 0), tongue=(0, 0)):
        return self.picture.copy()
"""


def test_a_missing_renderer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks heads\.py, ict\.npz"):
        open_renderer(tmp_path)


def fake(folder: Path, source: str) -> Path:
    for name in PARTS:
        (folder / name).touch()
    (folder / "heads.py").write_text(source)
    return folder


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs moderngl_of_nobody.*voxcam\[heads\]"):
        open_renderer(fake(tmp_path, "import moderngl_of_nobody\n"))
    with pytest.raises(ConfigError, match="no OpenGL"):
        open_renderer(fake(tmp_path, "def Renderer(size, ss):\n    raise Exception('no EGL')\n"))


def test_it_goes_on_and_leaves_out_what_fails(tmp_path: Path) -> None:
    square = cv2.imread(str(PHOTO))
    assert square is not None
    side = min(square.shape[:2])
    photo = tmp_path / "square.png"
    cv2.imwrite(str(photo), square[:side, (square.shape[1] - side) // 2 :][:, :side])
    renderer = tmp_path / "renderer"
    renderer.mkdir()
    fake(renderer, f"PHOTO = {str(photo)!r}\n{FAKE}")
    out = tmp_path / "heads"
    said = list(render(renderer, out, 2))
    assert [line.split()[:2] for line in said] == [[f"{FIRST_SEED}", "written"], [f"{FIRST_SEED + 1}", "left"]]
    with np.load(out / f"{FIRST_SEED}.npz") as stored:
        assert stored["pictures"].shape == (1 + MOUTHS, 320, 320, 3)
        assert stored["landmarks"].shape == (1 + MOUTHS, 478, 3)
        assert np.isfinite(stored["landmarks"]).all()
    assert [path.name for path in out.iterdir()] == [f"{FIRST_SEED}.npz"]
    assert not list(render(renderer, out, 1))
    assert list(render(renderer, out, 1, 3000)) == ["3000 written"]


def test_mouths_hang_on_the_seed_and_stay_in_bounds() -> None:
    shapes = {name: {"jawOpen": 0.9, name: 0.8} for name in (*SHAPES, "brows", "blink")}
    module = SimpleNamespace(VIS=shapes, TONG={"TH": (0.4, 0.9)})
    first, again = (
        [draw_mouth(module, random) for _ in range(40)]  # type: ignore[arg-type]
        for random in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == again
    assert all(0 < value <= 1 for weights, _ in first for value in weights.values())
    assert sum("blink" in weights for weights, _ in first) not in (0, 40)
    assert any(tongue == (0.4, 0.9) for _, tongue in first)
