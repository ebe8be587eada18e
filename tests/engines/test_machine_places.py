"""Where caches go, also where nothing may be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import pytest

from engines import machine

ROOT = Path(__file__).parents[2]


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path))
    assert machine.cache_folder() == tmp_path
    assert machine.default_engines_dir() == tmp_path / "engines"
    monkeypatch.delenv("VOXCAM_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert machine.cache_folder() == tmp_path / "xdg" / "voxcam"


@pytest.fixture
def no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "x")  # so that it is put back at the end
    monkeypatch.delenv("NUMBA_CACHE_DIR")


@pytest.fixture
def read_only_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: os.access says yes, writing fails. (To a test that root runs no folder is read-only.)"""
    package, open_file = Path(machine.__file__).parent, tempfile.TemporaryFile

    def refuse(dir: Path, prefix: str | None) -> IO[bytes]:
        if dir.is_relative_to(package):
            raise PermissionError(13, "Permission denied")
        return open_file(dir=dir, prefix=prefix)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


def test_numba_gets_a_place_in_the_package(no_place: None) -> None:
    machine.place_numba_cache()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).is_relative_to(Path(machine.__file__).parent / "__pycache__")


@pytest.mark.parametrize("writable", [True, False])
def test_numba_gets_a_place_where_the_package_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_place: None, read_only_package: None, writable: bool
) -> None:
    cache = tmp_path / "cache"
    if not writable:
        cache.write_text("a file is in the way")
    monkeypatch.setenv("VOXCAM_CACHE", str(cache))
    machine.place_numba_cache()
    place = Path(os.environ["NUMBA_CACHE_DIR"])
    assert place.is_dir()
    assert (place.parent == cache / "numba") == writable
    if not writable:
        place.rmdir()
    before = os.environ["NUMBA_CACHE_DIR"]
    machine.place_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == before


@pytest.mark.parametrize("longest", [259, 32_000])
@pytest.mark.parametrize("package", ["C:/voxcam", "C:/Users/maria/" + "x" * 90])
def test_kernels_are_where_windows_takes_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_place: None, longest: int, package: str
) -> None:
    """The longest that numba gives here has 156 characters, its folder's counted, below the place for kernels."""
    here = tmp_path / package.replace(":", "")
    here.mkdir(parents=True)
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(machine, "__file__", str(here / "machine.py"))
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path / "cache"))
    open_file = tempfile.TemporaryFile

    def windows(dir: Path, prefix: str | None) -> IO[bytes]:
        name = dir / f"{prefix}12345678"
        if len(str(name).removeprefix(f"{tmp_path}/")) > longest:
            raise FileNotFoundError(2, "No such file or directory")
        return open_file(dir=dir, prefix=prefix)

    monkeypatch.setattr(tempfile, "TemporaryFile", windows)
    machine.place_numba_cache()
    place = Path(os.environ["NUMBA_CACHE_DIR"]).relative_to(tmp_path)
    assert len(str(place)) + 1 + 156 <= 259
    assert place.is_relative_to(package.replace(":", "")) == (package == "C:/voxcam")


def test_old_kernels_go_and_young_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_place: None, read_only_package: None
) -> None:
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path))
    old, young = tmp_path / "numba" / "old", tmp_path / "numba" / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "kernel.nbc").write_bytes(b"")
    os.utime(old, (0, 0))
    machine.place_numba_cache()
    assert not old.exists()
    assert (young / "kernel.nbc").exists()


KERNEL = """import numba
@numba.njit(cache=True)
def kernel():
    return 7
"""


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("left_bytes", [0, 40])
def test_kernels_that_a_power_cut_damaged_are_compiled_anew(tmp_path: Path, ending: str, left_bytes: int) -> None:
    """numba fails on them, at every start."""
    (tmp_path / "of_a_test.py").write_text(KERNEL)
    program = (
        "import os\n"
        "from engines import machine\n"
        "machine.__file__, machine.kernels_hash = 'engines/machine.py', lambda _: 'hash'\n"
        "os.environ.pop('NUMBA_CACHE_DIR'); machine.place_numba_cache()\n"
        "import of_a_test; print(of_a_test.kernel())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", program]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout == "7\n", done.stderr
        (kept,) = (tmp_path / "engines" / "__pycache__" / "kernels" / "hash").rglob("*" + ending)
        kept.write_bytes(kept.read_bytes()[:left_bytes])


def test_on_a_full_disk_kernels_go_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_place: None, read_only_package: None
) -> None:
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    machine.place_numba_cache()
    place = Path(os.environ["NUMBA_CACHE_DIR"])
    assert not place.is_relative_to(tmp_path)
    place.rmdir()


CALLED = """import numba
@numba.njit(cache=True)
def called():
    return {}
"""
CONSTANT = """from kernels.farther import ANSWER
def nothing_compiled():
    pass
"""
CALLS = """import numba
from kernels.called import called
from kernels.constant import ANSWER
@numba.njit(cache=True)
def calls():
    return 10 * ANSWER + called()
"""


def test_a_kernel_that_uses_another_file_is_never_an_old_one(tmp_path: Path) -> None:
    """numba alone answers with the callee and the constants that were compiled into the caller."""
    package = tmp_path / "kernels"
    package.mkdir()
    for file, text in (("__init__", ""), ("calls", CALLS), ("constant", CONSTANT)):
        (package / f"{file}.py").write_text(text)
    said, hashes = [], []
    for constant, called in ((1, 1), (1, 2), (2, 2)):
        (package / "called.py").write_text(CALLED.format(called))
        (package / "farther.py").write_text(f"ANSWER = {constant}\n")
        (package / "other.py").write_text(f"# of no kernel: {constant} {called}")
        hashes.append(machine.kernels_hash(package))
        place = {"NUMBA_CACHE_DIR": str(tmp_path / hashes[-1]), "PYTHONPATH": str(tmp_path)}
        place["PYTHONDONTWRITEBYTECODE"] = "1"  # two files of one size in one second are one to Python's own cache
        program = "from kernels.calls import calls; print(calls())"
        done = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | place, capture_output=True, text=True, check=True
        )
        said.append(done.stdout.strip())
    assert said == ["11", "12", "22"]
    (package / "other.py").write_text("# of no kernel: 3")
    assert machine.kernels_hash(package) == hashes[-1]


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As a user without an entry in passwd and without HOME; the temporary folder."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("VOXCAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_a_home_the_cache_is_in_the_temporary_folder(homeless: Path) -> None:
    folder = machine.cache_folder()
    assert folder.parent == homeless
    assert folder.stat().st_mode & 0o777 == 0o700
    assert machine.cache_folder() == folder  # a lasting one


def test_with_another_users_home_too(
    homeless: Path, monkeypatch: pytest.MonkeyPatch, no_place: None, read_only_package: None
) -> None:
    """As after `sudo -u`. (To a test that root runs no folder is unreadable.)"""
    monkeypatch.setattr(Path, "home", lambda: homeless / "theirs")
    look = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).is_relative_to(homeless / "theirs"):
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert machine.cache_folder() == homeless / f"voxcam-{os.getuid()}"
    assert machine.default_engines_dir().parent == machine.cache_folder()
    machine.place_numba_cache()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).is_relative_to(machine.cache_folder())


@pytest.mark.parametrize("trap", ["link", "open to all"])
def test_what_another_put_in_its_place_is_not_used(
    homeless: Path, trap: str, no_place: None, read_only_package: None
) -> None:
    """Kernels are run from there."""
    folder = homeless / f"voxcam-{os.getuid()}"
    if trap == "link":
        (homeless / "theirs").mkdir(mode=0o700)
        folder.symlink_to(homeless / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(PermissionError):
        machine.cache_folder()
    machine.place_numba_cache()
    assert not Path(os.environ["NUMBA_CACHE_DIR"]).is_relative_to(folder)


PASSING = """
import os, tempfile
from pathlib import Path
def refuse(*_, **__):
    raise PermissionError(13, "Permission denied")
tempfile.TemporaryFile = refuse
import engines
(Path(os.environ["NUMBA_CACHE_DIR"]) / "kernel.nbc").write_bytes(b"kernel")
print(os.environ["NUMBA_CACHE_DIR"])
"""


def test_whoever_imports_an_engine_has_a_place_for_kernels() -> None:
    """Not the command line alone: by itself numba takes those of before a change of another file."""
    program = "import engines.errors, numba, os; print(numba.config.CACHE_DIR == os.environ['NUMBA_CACHE_DIR'])"
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_passing_place_is_removed_at_the_end(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PASSING],
        cwd=Path(machine.__file__).parents[1],
        env={**env, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert Path(done.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []
