"""Nothing leaves the machine: the libraries that count their users are kept from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNTERS = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")  # what would hide that a library counts
OPENS = """
import os, sys
from pathlib import Path
from engines.encoder import open_encoder
with open_encoder(backend=sys.argv[1]) as encoder:
    assert encoder is not None
for children in Path("/proc/self/task").glob("*/children"):
    print(children.read_text().strip(), end="")
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_leaves_nothing_at_home_and_starts_nobody(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    home = tmp_path / "home"
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in COUNTERS}
    done = subprocess.run(
        [sys.executable, "-c", OPENS, backend],
        cwd=ROOT,
        env={**env, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "telemetry" not in done.stderr
    assert list(home.rglob("*")) == []


def test_everybody_takes_the_quiet_library() -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for folder in ("engines", "realtime", "bench", "train")
        for path in (ROOT / folder).rglob("*.py")
        if "import onnxruntime" in path.read_text(encoding="utf-8")
    ]
    assert users == ["engines/backends/quiet_onnxruntime.py"]
