"""A lighter engine of a model for a machine that has become too busy: another precision, proved and timed.

Meant to run in a thread beside a stream. Whoever runs the stream exchanges the sessions between two steps
(`Encoder.use`, `Generator.use`): buffers are shared and the state is carried over, so nothing of the stream is lost.
"""

from __future__ import annotations

import logging
from pathlib import Path

from engines.building.auto import VERIFY_STEPS, AutoSession, Candidate, Notify, candidates, measure
from engines.card import EngineCard, card_path, read_card
from engines.errors import VoxcamError
from engines.golden import golden_path, read_golden, verify
from engines.session import Session

BITS = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8}
ROUNDS, ROUND_S = 3, 0.06  # turns of timing each engine: short, for the machine is busy
WORTH = 0.95  # of the present engine's time; beyond that another one is not worth its memory
log = logging.getLogger("voxcam.engines")


def open_lighter(
    card: str | Path,
    present: Session,
    engines_dir: Path | None = None,
    notify: Notify = log.info,
) -> AutoSession | None:
    """The fastest engine of a lower precision than the present one that passes its golden stream; None where none is.

    Only what can be opened here without building. It falls back to the present engine's kind when it fails.
    """
    path = card_path(card)
    found = read_card(path)
    threads = present.threads
    now = Candidate(present.backend, present.device, present.precision)
    best, best_ms = None, WORTH
    for option in candidates(found, None, engines_dir):
        if BITS.get(option.precision, 32) >= BITS.get(now.precision, 32):
            continue
        try:
            share = _time_share(path, found, now, option, threads, engines_dir)
        except VoxcamError as error:
            notify(f"{found.name}: {option} is left out: {error}")
            continue
        notify(f"{found.name}: {option} takes {share:.2f} of the time of {now}")
        if share < best_ms:
            best, best_ms = option, share
    if best is None:
        return None
    return AutoSession(path, [best, now], lambda option: option.open(path, threads, engines_dir))


def _time_share(
    path: Path, card: EngineCard, now: Candidate, option: Candidate, threads: int, engines_dir: Path | None
) -> float:
    """A step's time on `option` over that on `now`, by turns; EngineMismatch where it gives wrong numbers."""
    golden = read_golden(golden_path(card, path.parent), card)
    with (
        option.open(path, threads, engines_dir) as lighter,
        now.open(path, threads, engines_dir) as present,
    ):
        comparison = verify(lighter, golden, VERIFY_STEPS)
        if not comparison.passed:
            raise VoxcamError(comparison.refusal())
        pairs = [(measure(lighter, golden, ROUND_S), measure(present, golden, ROUND_S)) for _ in range(ROUNDS)]
    return min(light for light, _ in pairs) / min(full for _, full in pairs)
