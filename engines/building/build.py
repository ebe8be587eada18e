"""From a checked model to an engine for this machine: built once, kept by content, verified before it is trusted.

An engine lies in the cache folder as STEM.engine and STEM.card.json. The stem ends in a hash of everything that the
engine depends on, so a changed model, library, driver or processor asks for another file. The card is written last and
holds the file's hash: what a killed build leaves has no card, or no card that fits, and is not trusted.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engines import machine
from engines.backends import PRECISIONS, find_backend
from engines.backends.built import BuildOptions
from engines.card import WEIGHTS, BuildRecord, EngineCard, card_path, file_sha256, read_card, read_checked
from engines.errors import ConfigError, EngineMismatch, OutputError
from engines.golden import Comparison, Golden, golden_path, read_golden, verify
from engines.machine import default_engines_dir
from engines.session import Session
from engines.whole_file import is_half_written, read_npz, write_atomically

_LOCK_WAIT_S = 600.0
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuildResult:
    card: EngineCard
    path: Path  # of the engine file
    built: bool  # False if it was in the cache
    comparison: Comparison | None  # None where it could not run here


def models() -> list[str]:
    """Names of the shipped models that engines are built from: those with a golden stream to verify them by."""
    names = [path.name.removesuffix(".golden.npz") for path in sorted(WEIGHTS.glob("*.golden.npz"))]
    return [name for name in names if (WEIGHTS / f"{name}.card.json").exists()]


def target(
    card: EngineCard, backend: str, precision: str, device: str, compute_capability: tuple[str, ...] = ()
) -> BuildRecord:
    """What an engine of this model would depend on, here and now."""
    module = find_backend(backend)
    about: dict[str, Any] = module.describe(device)
    if device == "cpu":
        about = {"device_name": f"{machine.cpu_name()} [{' '.join(machine.cpu_flags())}]"}
    return BuildRecord(
        model_sha256=card.sha256,
        backend=backend,
        backend_version=module.version(),
        precision=precision,
        device=device,
        device_name=about.get("device_name", ""),
        driver=about.get("driver", ""),
        compute_capability=compute_capability or tuple(about.get("compute_capability", ())),
    )


def engine_stem(card: EngineCard, record: BuildRecord) -> str:
    """File name of an engine without its ending: readable, and unique to what it depends on."""
    depends = [record.model_sha256, record.backend, record.backend_version, record.precision, record.device]
    depends += [record.device_name, record.driver, " ".join(record.compute_capability), card.spec.to_json()]
    digest = hashlib.sha256("\n".join(depends).encode()).hexdigest()[:12]
    return f"{card.name}-{record.backend}-{record.precision}-{digest}"


def build_engine(
    card: str | Path,
    backend: str = "onnxruntime",
    precision: str = "fp32",
    device: str | None = None,
    compute_capability: tuple[str, ...] = (),
    engines_dir: Path | None = None,
    progress: Progress = lambda text: None,
    lock_wait_s: float = _LOCK_WAIT_S,
) -> BuildResult:
    """Build, verify against the golden stream, write the card. Gives the cached engine where there is one.

    EngineMismatch where the backend is missing or refuses the model, or where the engine is not accurate enough (then
    nothing is kept); ConfigError for a precision or device that the backend does not have.
    """
    folder = engines_dir or default_engines_dir()
    path = card_path(card)
    module = find_backend(backend)
    module.version()
    device = device or module.DEFAULT_DEVICE
    model_card, content = read_checked(path)
    if model_card.build is not None:
        raise ConfigError(f"{path.name} is an engine already", "name a model, such as --model encoder")
    _refuse_unknown(module, precision, device, compute_capability)
    golden = read_golden(golden_path(model_card, path.parent), model_card)
    record = target(model_card, backend, precision, device, compute_capability)
    engine = folder / f"{engine_stem(model_card, record)}.engine"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder} ({error.strerror})", "name another folder with --out") from error
    with build_lock(folder / f".{engine.stem}.lock", progress, lock_wait_s):
        cached = _cached(engine)
        if cached is not None:
            progress(f"{model_card.name} {backend} {precision}: in the cache")
            return BuildResult(cached, engine, False, None)
        _engine_card_path(engine).unlink(missing_ok=True)
        calibration, source = _calibration(path, model_card, golden) if precision == "int8" else (None, "")
        progress(f"{model_card.name} {backend} {precision}: building")
        began = time.perf_counter()
        timings = _read_if_there(folder / f"{backend}.timing")
        options = BuildOptions(compute_capability, calibration, timings, progress)
        made = module.build(content, model_card, precision, device, options)
        build_s = time.perf_counter() - began
        write_atomically(engine, made.content)
        if made.timing_cache:
            write_atomically(folder / f"{backend}.timing", made.timing_cache)
        record = replace(
            record,
            flags=made.flags,
            build_s=round(build_s, 3),
            size_bytes=len(made.content),
            note="; ".join(part for part in (made.note, source) if part),
        )
        built = replace(model_card, sha256=file_sha256(made.content), file=engine.name, build=record)
        if device not in module.devices():
            note = f"no {device} device here: verified when it is first opened on one"
            built = replace(built, build=replace(record, note="; ".join(p for p in (record.note, note) if p)))
            built.write(_engine_card_path(engine))
            progress(f"{model_card.name} {backend} {precision}: built, {note}")
            return BuildResult(built, engine, True, None)
        progress(f"{model_card.name} {backend} {precision}: verifying")
        try:
            built, comparison = _verified(built, made.content, golden, module)
        except EngineMismatch:
            engine.unlink(missing_ok=True)
            raise
        built.write(_engine_card_path(engine))
        return BuildResult(built, engine, True, comparison)


def open_engine(
    card: str | Path,
    backend: str,
    device: str | None = None,
    precision: str = "fp32",
    threads: int = 1,
    engines_dir: Path | None = None,
) -> Session:
    """The engine of this model for this machine, or the model itself where the backend compiles it at loading.

    `card` may also name an engine's own card; then it must have been built for this machine.
    """
    _refuse_unknown_precision(precision)
    path = card_path(card)
    found, content = read_checked(path)
    module = find_backend(backend)
    module.version()
    device = device or module.DEFAULT_DEVICE
    if found.build is not None:
        record = found.build
        if (record.backend, record.precision) != (backend, precision):
            raise EngineMismatch(
                f"{path.name} is a {record.precision} engine for {record.backend}",
                f"open it with --backend {record.backend} --precision {record.precision}",
            )
        refuse_other_machine(found)
        return _open_checked(found, content, path, module, device, precision, threads, WEIGHTS)
    folder = engines_dir or default_engines_dir()
    if device not in module.devices():
        raise EngineMismatch(f"{backend} finds no device {device!r} here", "use --backend onnxruntime --device cpu")
    capabilities = _capabilities(module, device)
    record = target(found, backend, precision, device, capabilities)
    engine = folder / f"{engine_stem(found, record)}.engine"
    if not _engine_card_path(engine).exists() and (ahead := _ahead_of_time(folder, found, record)):
        engine = ahead
    if _engine_card_path(engine).exists():
        engine_card, built = read_checked(_engine_card_path(engine))
        if engine_card.build is None or engine_card.build.model_sha256 != found.sha256:
            raise EngineMismatch(f"{engine.name} was made from another model", _build_command(found.name, record))
        own = _engine_card_path(engine)
        return _open_checked(engine_card, built, own, module, device, precision, threads, path.parent)
    _refuse_unable(module, precision, device)
    if precision in module.COMPILES:
        return module.load(content, found, precision, device, threads)
    raise EngineMismatch(_why_none(folder, found, record), _build_command(found.name, record))


def _open_checked(
    card: EngineCard,
    content: bytes,
    path: Path,
    module: Any,
    device: str,
    precision: str,
    threads: int,
    models_dir: Path,
) -> Session:
    """Load an engine that fits its card; one built ahead of time is verified when it is first opened."""
    if card.build is None or not card.build.verified:
        card, _ = _verified(card, content, read_golden(golden_path(card, models_dir), card), module)
        card.write(path)
    return module.load(content, card, precision, device, threads)


def _verified(card: EngineCard, content: bytes, golden: Golden, module: Any) -> tuple[EngineCard, Comparison]:
    """The card with the measured error in it; EngineMismatch where the engine is not accurate enough."""
    record = card.build
    assert record is not None
    with module.load(content, card, record.precision, record.device, 1) as session:
        comparison = verify(session, golden)
    if not comparison.passed:
        other = "fp32" if record.precision != "fp32" else "another backend's fp32"
        raise EngineMismatch(
            f"the {record.precision} engine of {card.name} for {record.backend} is wrong: {comparison.refusal()}",
            f"use --precision {other}" if other == "fp32" else f"use {other}",
        )
    error = {name: float(f"{value:.3g}") for name, value in comparison.error.items()}
    return replace(card, build=replace(record, verified=True, error=error)), comparison


def refuse_other_machine(card: EngineCard) -> None:
    """EngineMismatch where an engine was built for another processor, GPU, driver or library version than is here."""
    record = card.build
    assert record is not None
    module = find_backend(record.backend)
    here = target(card, record.backend, record.precision, record.device, record.compute_capability)
    depends = {
        "library version": (record.backend_version, here.backend_version),
        "device": (record.device_name.partition(" [")[0], here.device_name.partition(" [")[0]),
        "processor features": (record.device_name, here.device_name),
        "driver": (record.driver, here.driver),
    }
    for name, (built_for, found) in depends.items():
        if built_for and built_for != found:
            what = f"the {record.backend} engine of {card.name} was built for another {name}"
            raise EngineMismatch(f"{what} ({built_for}; here {found})", _build_command(card.name, record))
    capabilities = _capabilities(module, record.device)
    if record.compute_capability and capabilities and not set(capabilities) & set(record.compute_capability):
        raise EngineMismatch(
            f"the engine of {card.name} is for GPUs of compute capability {', '.join(record.compute_capability)},"
            f" this one has {', '.join(capabilities)}",
            _build_command(card.name, record) + f" --compute-capability {','.join(capabilities)}",
        )


def engine_cards(engines_dir: Path | None = None) -> list[tuple[Path, EngineCard | EngineMismatch]]:
    """Cards of all engines in the cache; a card that cannot be read stands as its error."""
    found: list[tuple[Path, EngineCard | EngineMismatch]] = []
    for path in sorted((engines_dir or default_engines_dir()).glob("*.card.json")):
        try:
            found.append((path, read_card(path)))
        except EngineMismatch as error:
            found.append((path, error))
    return found


def verify_engine(path: Path, models_dir: Path = WEIGHTS) -> Comparison:
    """Replay the golden stream on an engine of the cache; EngineMismatch where it can't or where it fails."""
    card, content = read_checked(path)
    if card.build is None:
        raise ConfigError(f"{path.name} is a model, not an engine", "build one: voxcam build-engine")
    refuse_other_machine(card)
    golden = read_golden(golden_path(card, models_dir), card)
    checked, comparison = _verified(card, content, golden, find_backend(card.build.backend))
    checked.write(path)
    return comparison


def clean_engines(engines_dir: Path | None = None, everything: bool = False) -> list[Path]:
    """Delete what cannot be used: engines without card, damaged, of a model or version that is gone; or all of them.

    What no build wrote stays: cards of models, and every other file that lies in the folder.
    """
    folder = engines_dir or default_engines_dir()
    current = {name: read_card(name).sha256 for name in models()}
    kept: set[Path] = set()
    for path, card in engine_cards(folder):
        if isinstance(card, EngineMismatch):
            if not path.with_name(path.name.removesuffix(".card.json") + ".engine").is_file():
                kept.add(path)
            continue
        if card.build is None:
            kept.add(path)
            continue
        if everything:
            continue
        try:
            read_checked(path)
            refuse_other_machine(card)
        except EngineMismatch:
            continue
        if current.get(card.name, card.build.model_sha256) == card.build.model_sha256:
            kept |= {path, path.with_name(card.file)}
    gone = []
    for path in sorted(folder.glob("*")):
        ours = path.name.endswith((".engine", ".card.json")) or is_half_written(path)
        if ours and path.is_file() and path not in kept:
            path.unlink(missing_ok=True)
            gone.append(path)
    return gone


@contextmanager
def build_lock(path: Path, progress: Progress = lambda text: None, wait_s: float = _LOCK_WAIT_S) -> Iterator[None]:
    """Hold a lock file while building: the second builder waits for the first and then finds its engine.

    The lock is the system's own (flock, msvcrt) and ends with the process. EngineMismatch after wait_s.
    """
    try:
        file = path.open("a+b")
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror})", "name another folder with --out") from error
    with file:
        deadline, told = time.monotonic() + wait_s, False
        while not _try_lock(file):
            if not told:
                progress("waiting for another build of the same engine")
                told = True
            if time.monotonic() > deadline:
                raise EngineMismatch("another voxcam builds this engine and does not end", "end it, or wait")
            time.sleep(0.05)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: Any) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: Any) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: Any) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file: Any) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def _cached(engine: Path) -> EngineCard | None:
    """The engine's card if the engine can be trusted."""
    try:
        card, _ = read_checked(_engine_card_path(engine))
    except EngineMismatch:
        return None
    return card if card.build is not None else None


def _ahead_of_time(folder: Path, card: EngineCard, record: BuildRecord) -> Path | None:
    """An engine built for several GPUs, this one among them, with the same library version."""
    if not record.compute_capability:
        return None
    for path, found in engine_cards(folder):
        if isinstance(found, EngineMismatch) or found.build is None:
            continue
        other = found.build
        same = (other.model_sha256, other.backend, other.backend_version, other.precision, other.driver)
        if same == (card.sha256, record.backend, record.backend_version, record.precision, "") and set(
            record.compute_capability
        ) <= set(other.compute_capability):
            return path.with_name(found.file)
    return None


def _why_none(folder: Path, card: EngineCard, record: BuildRecord) -> str:
    """Why there is no engine: none was ever built, or it was built for something else."""
    for _, found in engine_cards(folder):
        if isinstance(found, EngineMismatch) or found.build is None:
            continue
        other = found.build
        if (found.name, other.backend, other.precision) != (card.name, record.backend, record.precision):
            continue
        if other.model_sha256 != card.sha256:
            return f"the {record.precision} engine of {card.name} was built from an older model"
        try:
            refuse_other_machine(found)
        except EngineMismatch as error:
            return error.what
    return f"there is no {record.precision} engine of {card.name} for {record.backend}"


def _capabilities(module: Any, device: str) -> tuple[str, ...]:
    return tuple(module.describe(device).get("compute_capability", ()))


def _calibration(path: Path, card: EngineCard, golden: Golden) -> tuple[dict[str, np.ndarray], str]:
    """Inputs to measure int8 ranges on: training's own export, else the golden stream's (and the card says so)."""
    beside = path.with_name(f"{card.name}.calibration.npz")
    if not beside.exists():
        return dict(golden.inputs), "calibrated on the golden stream"
    try:
        inputs = {name.removeprefix("input."): array for name, array in read_npz(beside.read_bytes()).items()}
    except (OSError, ValueError) as error:
        raise EngineMismatch(f"no readable calibration inputs at {beside} ({error})", "delete the file") from error
    if inputs.keys() != golden.inputs.keys():
        raise EngineMismatch(f"{beside.name} holds inputs of another model", "delete the file")
    return inputs, "calibrated on validation data"


def _engine_card_path(engine: Path) -> Path:
    return engine.with_name(engine.stem + ".card.json")


def _build_command(name: str, record: BuildRecord) -> str:
    device = "" if record.device == "cpu" else f" --device {record.device}"
    return f"voxcam build-engine --model {name} --backend {record.backend} --precision {record.precision}{device}"


def _read_if_there(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _refuse_unknown_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise ConfigError(f"no precision {precision!r}", f"choose one of {', '.join(PRECISIONS)}")


def _refuse_unknown(module: Any, precision: str, device: str, compute_capability: tuple[str, ...]) -> None:
    _refuse_unknown_precision(precision)
    if compute_capability and not hasattr(module, "COMPUTE_CAPABILITIES"):
        raise ConfigError(f"{module.NAME} builds for the machine at hand", "leave out --compute-capability")
    for capability in compute_capability:
        if capability not in module.COMPUTE_CAPABILITIES:
            raise ConfigError(
                f"{module.NAME} has no compute capability {capability!r}",
                f"choose from {', '.join(module.COMPUTE_CAPABILITIES)}",
            )
    if not compute_capability and device not in module.devices():
        raise EngineMismatch(f"{module.NAME} finds no device {device!r} here", "look at `voxcam engines list`")
    _refuse_unable(module, precision, device)


def _refuse_unable(module: Any, precision: str, device: str) -> None:
    able = module.precisions(device)
    if precision not in able:
        raise ConfigError(f"{module.NAME} has no {precision} on {device}", f"choose one of {', '.join(able)}")
