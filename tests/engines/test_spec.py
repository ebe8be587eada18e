"""A stream's rates and sizes follow from one another."""

from __future__ import annotations

import json
from dataclasses import replace

from engines.spec import SPEC


def test_a_code_is_twenty_milliseconds() -> None:
    assert SPEC.code_s == 0.02
    assert SPEC.code_s * SPEC.codes_per_second == 1
    assert SPEC.chunk_ns == 20_000_000


def test_the_longest_lookahead_says_how_far_is_heard_ahead() -> None:
    assert SPEC.most_ahead == 4
    assert replace(SPEC, lookaheads_ms=(0,)).most_ahead == 0
    assert replace(SPEC, lookaheads_ms=(120, 40)).most_ahead == 6


def test_what_follows_from_others_is_not_stored() -> None:
    assert {"code_s", "most_ahead"}.isdisjoint(json.loads(SPEC.to_json()))
