"""The machine at hand, as far as an engine depends on it."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

KERNELS_BYTES = 32_000_000  # room that their place needs at least; they take ten
KERNEL_NAME_CHARS = 160  # the longest name that numba gives below that place has some 156, its folder counted
LONG_PACKAGE_CHARS = 90  # Windows takes paths of 259, unless somebody has allowed longer ones
KERNELS_KEPT_S = 30 * 86_400.0  # compiled kernels of other versions, since they were last used


@cache
def cpu_name() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def cpu_flags() -> tuple[str, ...]:
    """Instruction sets that decide which kernels run; empty where the system does not tell."""
    match = re.search(r"^flags\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    wanted = re.compile(r"avx|amx|sse4|fma|f16c|vnni|bf16|asimd|sve")
    return tuple(sorted(flag for flag in (match.group(1).split() if match else ()) if wanted.match(flag)))


def usable_cores() -> int:
    """Cores this process may run on (containers and affinity masks give fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def nvidia_driver() -> str:
    """Version of the NVIDIA kernel driver, "" where there is none. Read from the system: no CUDA call is made."""
    match = re.search(r"Kernel Module(?: for \S+)?\s+(\d+[\d.]+)", _read("/proc/driver/nvidia/version"))
    return match.group(1) if match else ""


def nvidia_gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs that the system lists."""
    names = []
    for entry in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        match = re.search(r"^Model:\s*(.*)$", _read(str(entry)), re.MULTILINE)
        names.append(match.group(1).strip() if match else "NVIDIA GPU")
    return tuple(names)


def cache_folder() -> Path:
    """Where things that can be made again are kept: VOXCAM_CACHE, or the system's cache folder.

    Without a home, or with another user's (a service, a container, sudo -u), it is in the temporary folder; OSError
    where somebody else has put something there under that name.
    """
    if folder := os.environ.get("VOXCAM_CACHE"):
        return Path(folder)
    try:
        kept = _users_cache() / "voxcam"
        os.scandir(kept).close()
    except (PermissionError, RuntimeError):  # Path.home() where there is none
        return _own_temporary_folder()
    except OSError:  # not there yet
        pass
    return kept


def _users_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _own_temporary_folder() -> Path:
    """A lasting one of this user's alone: compiled kernels are run from it."""
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows has a temporary folder for each user
    folder = Path(tempfile.gettempdir()) / f"voxcam-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if hasattr(os, "getuid") and not (
        stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    ):
        raise PermissionError(errno.EACCES, "not a folder of this user's alone", str(folder))
    return folder


def default_engines_dir() -> Path:
    """Where engines are kept."""
    return cache_folder() / "engines"


def place_numba_cache() -> None:
    """Let numba keep its compiled kernels where it may write, one folder for each state of their sources.

    Call it before numba is imported. By itself numba writes beside the source, which an installed package may forbid,
    and knows a kernel by its own file alone: after a change of another file's kernel or constant that it uses, it would
    go on with the old one compiled into it. Not where there is no room for them, nor with what is damaged.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    package = Path(__file__).parent
    kernels = kernels_hash(package)
    windows = sys.platform == "win32"
    probe = "x" * (KERNEL_NAME_CHARS - 8) if windows else None  # eight letters are added
    places = [lambda: package / "__pycache__" / "kernels", lambda: cache_folder() / "numba"]
    if windows and len(str(package)) > LONG_PACKAGE_CHARS:
        places.reverse()
    for place in places:
        try:
            base = place()
            folder = base / kernels
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)
            with tempfile.TemporaryFile(dir=folder, prefix=probe):  # os.access says yes to every folder on Windows
                pass
            if not _drop_damaged(folder) and shutil.disk_usage(folder).free < KERNELS_BYTES:
                continue  # a full disk: numba would fail
            for other in base.iterdir():  # of versions that are gone
                if other.is_dir() and time.time() - other.stat().st_mtime > KERNELS_KEPT_S:
                    shutil.rmtree(other, ignore_errors=True)
        except OSError:
            continue
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        return
    # Without any lasting place the kernels are compiled at each start: up to a minute instead of none.
    os.environ["NUMBA_CACHE_DIR"] = passing = tempfile.mkdtemp(prefix="voxcam-")
    atexit.register(shutil.rmtree, passing, ignore_errors=True)


def _drop_damaged(folder: Path) -> int:
    """Remove compiled kernels that were cut short, as by a power cut: numba fails on them at every start.

    How many whole ones there are. numba's files are pickles, which end with a full stop.
    """
    whole = 0
    for path in folder.rglob("*.nb[ic]"):
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 1))
            ends = file.read(1) == b"."
        if ends:
            whole += 1
        else:
            path.unlink()
    return whole


def kernels_hash(package: Path) -> str:
    """A short hash of the sources below `package` that hold compiled kernels, and of all modules that these import.

    numba freezes the constants of both into what it compiles. Imports are known where they name the module in full
    (`from package.module import ...`), as they all do here.
    """
    paths = {".".join(path.relative_to(package.parent).with_suffix("").parts): path for path in package.rglob("*.py")}
    sources = {module: path.read_bytes() for module, path in paths.items()}
    counted: set[str] = set()
    waiting = [module for module, source in sources.items() if b"\n@numba.njit" in source]
    while waiting:
        module = waiting.pop()
        if module in sources and module not in counted:
            counted.add(module)
            waiting += [name.decode() for name in re.findall(rb"^ *(?:from|import) ([\w.]+)", sources[module], re.M)]
    total = hashlib.sha256()
    for module in sorted(counted):
        total.update(module.encode() + sources[module])
    return total.hexdigest()[:16]


def fingerprint(versions: dict[str, str]) -> str:
    """A short hash of what a measurement of engines depends on: processor, cores, GPU, driver, library versions."""
    parts: tuple[Any, ...] = (cpu_name(), cpu_flags(), usable_cores(), nvidia_gpus(), nvidia_driver(), sys.platform)
    return hashlib.sha256(repr((*parts, sorted(versions.items()))).encode()).hexdigest()[:16]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
