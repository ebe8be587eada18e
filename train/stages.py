"""A report made of stages, each kept in report.json with the hash of what it judges.

A stage whose hash still holds is not run again, so that a run that was cut off goes on and a change costs only what it
touches; `again` is for a change of the scoring itself. A run beside this one may be making other stages of the report.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from engines.errors import ConfigError
from engines.whole_file import write_atomically

FORMAT = 2  # of report.json: what an earlier one holds is made anew
FILE = "report.json"
Say = Callable[[str], None]


def hash_of(*said: str, files: Iterable[Path] = (), more: bytes = b"") -> str:
    """Hash of words, files by name and content, and other bytes."""
    total = hashlib.sha256(" ".join(said).encode() + more)
    for path in files:
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def run_stages(
    out: Path,
    stages: Mapping[str, Callable[[], dict]],
    keys: Mapping[str, str | None],
    only: list[str] | None,
    again: bool,
    say: Say,
    facts: Mapping[str, object] | None = None,
) -> tuple[dict[str, dict], list[str]]:
    """Run the stages that are old (or those named); results by name, and the names of those that are still old.

    keys: stage -> hash of what it judges, made before anything runs: files that change meanwhile are not what is in
    memory; None: there is nothing to judge now, what is kept stands. facts: of the run as a whole, kept beside the
    stages. What was done before a stage fails is kept.
    """
    unknown = set(only or ()) - set(stages)
    if unknown:
        raise ConfigError(f"there is no stage {', '.join(sorted(unknown))}", f"one of {', '.join(stages)}")
    out.mkdir(parents=True, exist_ok=True)
    before = _kept(out, stages)
    for name, stage in stages.items():
        current = name in before and before[name]["made_with"] == keys[name]
        if keys[name] is None or (only and name not in only) or (current and not again):
            continue
        start, spent = time.monotonic(), time.process_time()
        result = stage()
        cpu_s = round(time.process_time() - spent, 1)
        _keep(out, stages, name, {"made_with": keys[name], "cpu_s": cpu_s, "result": result}, facts)
        say(f"{name}: {cpu_s:.0f} s of one core, {time.monotonic() - start:.0f} s by the clock")
    kept = _kept(out, stages)
    old = [name for name in kept if keys[name] not in (None, kept[name]["made_with"])]
    return {name: entry["result"] for name, entry in kept.items()}, old


def _kept(out: Path, stages: Iterable[str]) -> dict[str, dict]:
    """The stages that report.json holds, in order; {} where there is none, or one of another format."""
    path = out / FILE
    before = json.loads(path.read_text()) if path.is_file() else {}
    found: dict[str, dict] = before.get("stages", {}) if before.get("format") == FORMAT else {}
    return {name: found[name] for name in stages if name in found}


def _keep(out: Path, stages: Iterable[str], name: str, entry: dict, facts: Mapping[str, object] | None) -> None:
    """Add one stage to report.json as it is now."""
    found = _kept(out, stages) | {name: entry}
    whole: dict[str, object] = {"format": FORMAT} | ({"facts": facts} if facts else {})
    whole["stages"] = {each: found[each] for each in stages if each in found}
    write_atomically(out / FILE, json.dumps(whole, indent=1).encode())
