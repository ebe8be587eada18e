"""Where caches go, also where nothing may be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines import machine


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path))
    assert machine.cache_folder() == tmp_path
    assert machine.default_engines_dir() == tmp_path / "engines"
    monkeypatch.delenv("VOXCAM_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert machine.cache_folder() == tmp_path / "xdg" / "voxcam"


@pytest.mark.parametrize("writable", [True, False])
def test_numba_gets_a_place_where_the_package_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "x")  # so that it is put back at the end
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    machine.place_numba_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ  # beside the source, as numba likes it
    package = Path(machine.__file__).parent
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != package and access(path, mode))
    cache = tmp_path / "cache"
    if not writable:
        cache.write_text("a file is in the way")
    monkeypatch.setenv("VOXCAM_CACHE", str(cache))
    machine.place_numba_cache()
    place = Path(os.environ["NUMBA_CACHE_DIR"])
    assert place.is_dir()
    assert (place == cache / "numba") == writable
    if not writable:
        place.rmdir()
    before = os.environ["NUMBA_CACHE_DIR"]
    machine.place_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == before
