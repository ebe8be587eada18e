"""Counted costs, the yardstick, and the guard that holds the code to its budgets."""

from __future__ import annotations

import dataclasses
import sys
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.counting import ArrayTrace, Counts, breaches, count, count_allocations, count_arrays, read_budgets
from bench.graph_cost import graph_cost
from bench.yardstick import make_yardstick, yardstick_card
from engines.opening import open_session
from realtime.pipeline import FaceStage


def test_costs_of_known_layers(tmp_path):
    weights = {"w": np.zeros((8, 3, 5, 5), np.float32), "m": np.zeros((7, 11), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("MatMul", ["a", "m"], ["b"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 32, 32)),
        helper.make_tensor_value_info("a", TensorProto.FLOAT, (4, 7)),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "b")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in weights.items()])
    path = tmp_path / "g.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    cost = graph_cost(path)
    assert cost.multiply_adds == 8 * 16 * 16 * 3 * 5 * 5 + 4 * 7 * 11
    assert cost.parameter_bytes == 4 * (8 * 3 * 5 * 5 + 7 * 11)


@pytest.mark.slow
def test_yardstick_has_the_published_size(tmp_path):
    model = make_yardstick()
    onnx.checker.check_model(model)
    parameters = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    assert 36.0e6 < parameters < 36.6e6
    card = yardstick_card(tmp_path)
    with open_session(card) as session:
        random = np.random.default_rng(0)
        picture = session.run({n: random.random(a.shape, np.float32) for n, a in session.inputs.items()})["picture"]
    assert picture.shape == (1, 3, 96, 96)
    assert picture.std() > 0.01, "a constant picture may have been computed by a shortcut"
    assert yardstick_card(tmp_path) == card


@pytest.fixture(scope="module")
def counts(rig):
    return count(rig)


def test_a_picture_stays_within_its_budgets(counts):
    """The regression guard: counts, not times, so that it says the same on every machine."""
    assert breaches(counts, read_budgets()) == []


def test_one_more_allocation_a_picture_is_over_budget(rig):
    """One array that is let go at once, and one small object that is kept: both are noticed."""

    def allocate(engines):
        draw = engines.generator.draw

        def wasteful(*arguments, **named):
            np.empty(2048, np.uint8)
            return draw(*arguments, **named)

        engines.generator.draw = wasteful

    plain, wasteful = (len(count_arrays(rig, 20, change)) / 20 for change in (lambda engines: None, allocate))
    assert wasteful == plain + 1
    within = dict.fromkeys(("engine_calls", "engine_bytes_copied", "kept_bytes", "largest_passing_bytes"), 0)
    counts = Counts(**within, arrays_made=plain, array_bytes=0, graph_mflop={}, parameter_bytes={}, weight_file_bytes=0)
    assert breaches(counts, read_budgets()) == []
    (found,) = breaches(dataclasses.replace(counts, arrays_made=wasteful), read_budgets())
    assert found.startswith("arrays_made")
    (found,) = breaches(dataclasses.replace(counts, kept_bytes=sys.getsizeof(object()) + 8), read_budgets())
    assert found.startswith("kept_bytes")


def test_what_an_instruction_makes_seldom_is_not_counted():
    """A table of the interpreter's that happens to be enlarged while we look."""
    trace, large = ArrayTrace(), 1_000_000

    def work(pictures):
        for k in range(pictures):
            if k == 2:
                np.empty(2 * large, np.uint8)
            np.empty(large, np.uint8)

    tracemalloc.start()
    found = sys.gettrace()
    try:
        sys.settrace(trace)
        work(1)
        trace.forget()
        work(5)
    finally:
        sys.settrace(found)
        tracemalloc.stop()
    assert [made // large for made in trace.arrays(2) if made >= large] == [1] * 5
    assert [made // large for made in trace.arrays(1) if made >= 2 * large] == [2]


def test_what_is_kept_once_is_no_growth(rig, monkeypatch):
    """A table that is enlarged once is not counted as kept by every picture; a list that grows is."""
    kept, draw = [], FaceStage.draw
    pictures = 0

    def growing(self, index, out, due_ns=0):
        nonlocal pictures
        pictures += 1
        if how == "always" or pictures == 70:
            kept.append(bytes(100 if how == "always" else 50_000))
        return draw(self, index, out, due_ns)

    monkeypatch.setattr(FaceStage, "draw", growing)
    for how, least, most in (("once", 0, 16), ("always", 100, 200)):  # noqa: B007  read by `growing`
        pictures = 0
        assert least <= count_allocations(rig).kept_bytes / 50 <= most


def test_budgets_are_tight(counts):
    """A budget far above what is counted guards nothing."""
    budgets = read_budgets()
    for name, limit in budgets["picture"].items():
        if name != "kept_bytes":  # 0 but for the interpreter's noise; below the smallest object a picture
            assert getattr(counts, name) >= 0.8 * limit, name
    for table in ("graph_mflop", "parameter_bytes"):
        for model, limit in budgets[table].items():
            assert getattr(counts, table)[model] >= 0.8 * limit, (table, model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine_calls": 3.5}, "engine_calls"),
        ({"arrays_made": 1e3}, "arrays_made"),
        ({"array_bytes": 1e9}, "array_bytes"),
        ({"engine_bytes_copied": 1e9}, "engine_bytes_copied"),
        ({"kept_bytes": 5000.0}, "kept_bytes"),
        ({"largest_passing_bytes": 10**9}, "largest_passing_bytes"),
        ({"graph_mflop": {"encoder": 1e5}}, "graph_mflop of encoder"),
        ({"graph_mflop": {"unknown": 1.0}}, "unknown has no budget"),
        ({"parameter_bytes": {"encoder": 10**9}}, "parameter_bytes of encoder"),
        ({"weight_file_bytes": 10**9}, "shipped weights"),
    ],
)
def test_every_budget_can_be_broken(change, message):
    within = Counts(2.0, 0.0, 0.0, 0.0, 0.0, 0, {"encoder": 1.0}, {"encoder": 1}, 1)
    assert breaches(within, read_budgets()) == []
    (found,) = breaches(dataclasses.replace(within, **change), read_budgets())
    assert message in found
