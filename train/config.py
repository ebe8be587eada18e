"""Training configs: TOML -> frozen dataclasses. Unknown keys are refused with the nearest known one."""

from __future__ import annotations

import difflib
import math
import sys
import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from engines.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
# Numbers that count, divide or scale: 0 of them is no run. Levels in dB may be negative, no other number.
ABOVE_ZERO = (
    "steps", "checkpoint_every", "micro_batches", "learning_rate", "clip", "codes",
    "conv1", "conv2", "gru", "slow", "slow_weights", "motion_gru", "decoder",
)  # fmt: skip


def load_config(kind: type[T], path: Path) -> T:
    """Read `kind` from a TOML file; ConfigError names the file and key that is wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read ({error.strerror})", "give a TOML file, e.g. train/configs/vae.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML ({error})", "mend it") from error
    return build(kind, raw, str(path))


def build(kind: type[T], raw: dict[str, Any], where: str) -> T:
    """Make the dataclass `kind` of plain values, nested tables included."""
    types_of = typing.get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.4)
            raise ConfigError(
                f"{where}: unknown key {key!r}", f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
            )
        values[key] = _value(types_of[key], value, f"{where}: {key}")
    return kind(**values)


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is a table", f"write [{where.rpartition(' ')[2]}] and its keys below")
        return build(kind, value, where)  # type: ignore[arg-type]
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if typing.get_origin(kind) is tuple:
        part = typing.get_args(kind)[0]
        if not isinstance(value, list):
            raise ConfigError(f"{where} is a list", "write it in square brackets")
        return tuple(_value(part, each, where) for each in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where} is {value!r}", f"it must be {kind.__name__}")
    if isinstance(value, int | float):
        _check_range(value, where)
    return value


def _check_range(number: float, where: str) -> None:
    name = where.rpartition(" ")[2]
    if not math.isfinite(number):
        raise ConfigError(f"{where} is {number}", "it must be a finite number")
    if number < 0 and not name.endswith("_db"):
        raise ConfigError(f"{where} is {number}", "it must not be negative")
    if number == 0 and name in ABOVE_ZERO:
        raise ConfigError(f"{where} is 0", "it must be above 0")
