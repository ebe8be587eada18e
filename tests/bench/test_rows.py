"""Rows, their file, and comparisons that know what noise is."""

from __future__ import annotations

import json

import pytest

from bench.rows import compare, describe_machine, identity, latency_row, markdown_table, read_report, value_row
from engines.errors import InputError


def test_latency_row_has_the_agreed_form():
    row = latency_row("newest_sample_age", range(101), lookahead_ms=40, picture_rate=30)
    assert row == {
        "measure": "newest_sample_age",
        "lookahead_ms": 40,
        "picture_rate": 30,
        "p50_ms": 50.0,
        "p95_ms": 95.0,
        "p99_ms": 99.0,
        "max_ms": 100.0,
        "count": 101,
        "repeats": [10.0, 30.5, 50.5, 70.5, 90.5],
        "spread": 1.5941,
    }
    assert "spread" not in latency_row("impulse_to_code", [1.0, 2.0]), "too few for repeats"


def test_value_row_keeps_repeats_and_spread():
    row = value_row("calls_per_second", [90, 100, 120], "1/s", engine="a")
    assert (row["value"], row["spread"], row["count"]) == (100, 0.3, 3)


def test_rows_are_the_same_thing_whatever_was_measured():
    one = latency_row("stage:encode", [1.0, 2.0], lookahead_ms=0, picture_rate=25)
    two = latency_row("stage:encode", [7.0], lookahead_ms=0, picture_rate=25)
    other = latency_row("stage:encode", [7.0], lookahead_ms=40, picture_rate=25)
    assert identity(one) == identity(two) != identity(other)


def test_comparison_tells_change_from_noise():
    before = {
        "rows": [value_row("a", [99, 100, 101], "s"), value_row("b", [80, 100, 120], "s"), value_row("c", [1], "s")]
    }
    after = {"rows": [value_row("a", [109, 110, 111], "s"), value_row("b", [90, 110, 120], "s")]}
    a, b = compare(before, after)
    assert (a["change"], a["clear"]) == (0.1, True)
    assert (b["change"], b["clear"]) == (0.1, False)
    assert b["band"] == 0.4


def test_one_repeat_tells_of_no_noise():
    """A change by half may be noise where nothing was repeated; one repeated side is enough to tell."""
    once, often = {"rows": [value_row("a", [10], "s")]}, {"rows": [value_row("a", [14.9, 15, 15.1], "s")]}
    (row,) = compare(once, {"rows": [value_row("a", [15], "s")]})
    assert (row["change"], row["clear"]) == (0.5, False)
    assert row["band"] != row["band"]
    (row,) = compare(once, often)
    assert row["clear"]


def test_means_over_clips_compare_by_their_standard_errors():
    """Rows of robustness are the same rows whatever r came out, and two standard errors are the band."""
    row = {"measure": "mouth_opening", "system": "voxcam 0 ms", "snr_db": "0", "r_in_words": 0.5, "swing": 1.1}
    before = {"rows": [row | {"value": 0.5, "value_error": 0.02}]}
    for value, clear in ((0.53, False), (0.55, True)):
        after = {"rows": [row | {"r_in_words": value, "swing": 0.9, "value": value, "value_error": 0.01}]}
        (found,) = compare(before, after)
        assert (found["clear"], found["band"]) == (clear, 0.08)


def test_a_share_that_was_zero():
    row = {"measure": "open_on_noise_alone", "system": "a", "noise": "all"}
    before = {"rows": [row | {"value": 0.0, "value_error": 0.0}]}
    (found,) = compare(before, {"rows": [row | {"value": 0.3, "value_error": 0.05}]})
    assert found["clear"]


def test_engines_compare_by_their_milliseconds():
    row = {"measure": "engine", "model": "encoder", "backend": "openvino", "precision": "bf16", "error": 0.01}
    before = {"rows": [row | {"ms": 0.2, "repeats": [5000], "spread": 0.05}]}
    (found,) = compare(before, {"rows": [row | {"ms": 0.1, "error": 0.02, "spread": 0.05}]})
    assert (found["change"], found["clear"]) == (-0.5, True)


def test_comparison_of_percentiles():
    before = {"rows": [latency_row("age", [10.0] * 99 + [11.0], lookahead_ms=0, picture_rate=25)]}
    after = {"rows": [latency_row("age", [15.0] * 99 + [16.0], lookahead_ms=0, picture_rate=25)]}
    (row,) = compare(before, after)
    assert (row["change"], row["clear"]) == (0.5, True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rows": 3}', '{"rows": [{}]}', "\xff"])
def test_file_that_is_none_of_ours(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="no benchmark result"):
        read_report(path)


def test_machine_can_be_written():
    machine = json.loads(json.dumps(describe_machine()))
    assert machine["cores"] >= 1
    assert "numpy" in machine["versions"]


def test_table_leaves_missing_cells_empty():
    table = markdown_table([{"a": 1, "b": True}, {"a": 0.123456}], ("a", "b"))
    assert table.splitlines()[2:] == ["| 1 | yes |", "| 0.1235 |  |"]
