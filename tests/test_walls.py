"""Dependencies point one way, and nothing but training needs torch: looked at statically, and tried."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "engines": {"engines"},
    "realtime": {"engines", "realtime"},
    "bench": {"engines", "realtime", "bench"},
    "train": {"engines", "train"},
}
OURS = set(MAY_IMPORT)
ONLY_IN = {  # one vendor, one file (lists where it may be)
    "sounddevice": {"realtime/audio/microphone.py"},
    "pyaudio": {"realtime/audio/pyaudio_microphone.py"},
    "pyvirtualcam": {"realtime/pictures/camera.py"},
    "time": {"realtime/clock.py"},
}


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("folder", sorted(OURS))
def test_dependencies_point_one_way(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert imports(path) & OURS <= MAY_IMPORT[folder], path
        if folder != "train":
            assert not imports(path) & {"torch", "lightning", "sklearn"}, path


@pytest.mark.parametrize("vendor", sorted(ONLY_IN))
def test_one_vendor_one_file(vendor: str) -> None:
    users = {str(p.relative_to(ROOT)) for p in (ROOT / "realtime").rglob("*.py") if vendor in imports(p)}
    assert users <= ONLY_IN[vendor]


def test_no_pickle_no_shell() -> None:
    for folder in OURS:
        for path in (ROOT / folder).rglob("*.py"):
            assert "pickle" not in imports(path), path
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword):
                    is_true = isinstance(node.value, ast.Constant) and node.value.value is True
                    assert not (node.arg in ("shell", "allow_pickle") and is_true), path
                assert not (isinstance(node, ast.ExceptHandler) and node.type is None), path


def test_everything_but_training_imports_without_torch() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("engines", "realtime", "bench")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    # Optional vendors may be missing where their extra is; torch may be missing everywhere.
    program = f"""
import importlib, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning", "torchvision"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, NoTorch())
optional = ("openvino", "tensorrt", "tensorrt_rtx", "pyvirtualcam", "pyaudio", "pythonosc", "onnx", "matplotlib")
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in optional:
            raise
assert "torch" not in sys.modules
print("imported", len({modules!r}))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"imported {len(modules)}" in done.stdout
