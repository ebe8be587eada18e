"""What the reports of training share: Markdown tables and figures beside what was wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engines.spec import SPEC

LOOKAHEADS = [f"{ms} ms" for ms in SPEC.lookaheads_ms]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; floats get three decimals below 10."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
        return str(value)

    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def bar(value: float, least: float) -> str:
    """'0.84' or '0.80 (wanted 0.84)'."""
    return f"{value:.3f}" if value >= least else f"{value:.3f} (wanted {least:g})"
