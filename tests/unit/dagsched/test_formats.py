"""Every format reads what it wrote, reads the samples, and refuses what is not of its kind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from trainmaster.dagsched import TaskGraph, generate, read_graph, schedule, write_graph
from trainmaster.dagsched.errors import CycleError, DuplicateEdgeError, FormatError, GraphError, OptionError
from trainmaster.dagsched.io import FORMATS
from trainmaster.dagsched.io.dask import from_dask, to_dask
from trainmaster.dagsched.io.networkx import from_networkx, to_networkx

GRAPH = TaskGraph([2, 3, 0, 7], [(0, 1, 4), (0, 2, 1), (1, 3, 6), (2, 3, 5)], ["a", 'b "x"', "c-d", "e"])
SUFFIX = {"stg": ".stg", "dot": ".dot", "dax": ".xml", "hyperdag": ".hdag"}


def samples() -> Path:
    checkout = Path(__file__).resolve().parents[3]
    places = [Path(os.environ["TRAINMASTER_TEST_DATA"])] if "TRAINMASTER_TEST_DATA" in os.environ else []
    places += [checkout.parent / "shared" / "data", checkout.parent.parent / "shared" / "data"]
    for place in places:
        if (place / "dags").is_dir():
            return place / "dags"
    pytest.skip("the sample graphs are missing: set TRAINMASTER_TEST_DATA to the folder that holds dags/")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", list(FORMATS))
def test_what_is_written_is_read_again(name, packed, tmp_path):
    path = tmp_path / f"graph{SUFFIX.get(name, '.json')}{'.gz' if packed else ''}"
    write_graph(GRAPH, path, name)
    again = read_graph(path)
    assert np.array_equal(again.work, GRAPH.work)
    for mine, theirs in zip(again.edges(), GRAPH.edges(), strict=True):
        assert mine == pytest.approx(theirs)
    if name in ("trainmaster", "wfformat", "dot", "dax"):
        assert again.names == GRAPH.names
    assert read_graph(path, name) == again


@pytest.mark.parametrize("name", ["trainmaster", "stg", "dot", "dnn"])
def test_random_weights_survive_exactly(name, tmp_path):
    graph = generate(80, ccr=1.7, seed=3)
    path = tmp_path / f"graph{SUFFIX.get(name, '.json')}"
    write_graph(graph, path, name)
    again = read_graph(path, name)
    assert np.array_equal(again.work, graph.work)
    assert np.array_equal(again.edges()[2], graph.edges()[2])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trainmaster", "{"),
        ("trainmaster", "[]"),
        ("trainmaster", '{"format": "other"}'),
        ("trainmaster", '{"format": "trainmaster-graph", "version": 9}'),
        ("trainmaster", '{"format": "trainmaster-graph", "version": 1, "work": [1], "edges": [[0]]}'),
        ("trainmaster", '{"format": "trainmaster-graph", "version": 1, "work": 1, "edges": []}'),
        ("wfformat", "{}"),
        ("wfformat", '{"workflow": {"specification": {"tasks": [{}]}, "execution": {"tasks": []}}}'),
        ("stg", ""),
        ("stg", "x"),
        ("stg", "3\n0 1 0\n"),
        ("stg", "1\n0 1 1\n"),
        ("stg", "1\n0 one 0\n"),
        ("stg", "2\n0 1 0\n0 1 0\n"),
        ("dot", "graph G { a -- b }"),
        ("dot", "digraph G { a -> "),
        ("dot", "digraph G { a -- b }"),
        ("dot", "digraph G { a [size=big] }"),
        ("dot", "digraph G { a [label=<b>] }"),
        ("dax", "<adag"),
        ("dax", "<adag><job/></adag>"),
        ("dax", '<adag><child ref="x"><parent ref="y"/></child></adag>'),
        ("dax", '<!DOCTYPE a [<!ENTITY b "c">]><adag/>'),
        ("hyperdag", ""),
        ("hyperdag", "1 2 2\n0 1\n0 1\n1 1\n0 0\n"),
        ("hyperdag", "1 2 2\n0 1\n0 1\n1 1\n0 0\n0 5\n"),
        ("hyperdag", "a b c"),
        ("dnn", '{"nodes": [{"id": 1}], "edges": []}'),
        ("dnn", '{"nodes": []}'),
    ],
)
def test_broken_files_are_refused(name, text, tmp_path):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_graph(path, name)
    assert caught.value.reason and caught.value.where


def test_graph_errors_pass_through(tmp_path):
    cyclic = tmp_path / "c.dot"
    cyclic.write_text("digraph { a -> b -> a }")
    with pytest.raises(CycleError):
        read_graph(cyclic)
    empty = tmp_path / "e.dot"
    empty.write_text("digraph {}")
    with pytest.raises(GraphError):
        read_graph(empty)
    twice = tmp_path / "t.dot"
    twice.write_text("digraph { a -> b; a -> b }")
    with pytest.raises(DuplicateEdgeError):
        read_graph(twice)


def test_kinds_are_told_apart(tmp_path):
    path = tmp_path / "unknown.bin"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError):
        read_graph(path)
    for damaged in (b"\x1f\x8b\x08", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03rubbish"):
        path.write_bytes(damaged)
        with pytest.raises(FormatError):
            read_graph(path)
    path.write_text("what is this")
    with pytest.raises(FormatError):
        read_graph(path)
    with pytest.raises(OptionError):
        read_graph(path, "xls")
    path.write_text("digraph { a }")
    assert read_graph(path).n == 1
    with pytest.raises(OptionError):
        read_graph(path, "dot", colour=1)


def test_dot_in_its_fuller_forms(tmp_path):
    path = tmp_path / "g.dot"
    path.write_text(
        """/* a comment */ strict digraph "G" {
        rankdir = LR; node [weight=2] // default
        a; b [weight="3.5", label="x;y"]
        a:s -> {b c} -> d [cost=4];
        subgraph cluster_0 { e -> f; }
        }"""
    )
    graph = read_graph(path)
    assert graph.names == ("a", "b", "c", "d", "e", "f")
    assert graph.work.tolist() == [2, 3.5, 2, 2, 2, 2]
    assert graph.m == 5 and sorted(graph.edges()[2].tolist()) == [1, 4, 4, 4, 4]


def test_stg_without_costs_and_with_dummies(tmp_path):
    path = tmp_path / "g.stg"
    path.write_text("1\n0 0 0\n1 5 1 0\n2 0 1 1\n# end\nrubbish")
    assert read_graph(path, cost=3.0) == TaskGraph([0, 5, 0], [(0, 1, 3), (1, 2, 3)])


def test_hyperdag_weights_must_be_whole(tmp_path):
    with pytest.raises(FormatError):
        write_graph(TaskGraph([0.5]), tmp_path / "g.hdag")


def test_networkx_there_and_back():
    again = from_networkx(to_networkx(GRAPH))
    assert again == GRAPH
    import networkx

    with pytest.raises(FormatError):
        from_networkx(networkx.Graph([(1, 2)]))
    parallel = networkx.MultiDiGraph([(1, 2), (1, 2)])
    with pytest.raises(DuplicateEdgeError):
        from_networkx(parallel)


def test_dask_graphs_without_dask():
    class Node:
        dependencies = frozenset({"x"})

    dsk = {
        "x": 1,
        "y": (sum, ["x", ("z", 0)]),
        ("z", 0): (len, {"k": "x"}),
        "alias": "y",
        "new": Node(),
        "data": [1.5, {"a": 2}],
    }
    graph = from_dask(dsk, work={"y": 5.0}, cost=lambda u, v: 2.0)
    assert graph.names == ("x", "y", "('z', 0)", "alias", "new", "data")
    assert {(u, v) for u, v in zip(*map(list, graph.edges()[:2]), strict=True)} == {
        (0, 1), (2, 1), (0, 2), (1, 3), (0, 4),
    }  # fmt: skip
    assert graph.work.tolist() == [1, 5, 1, 1, 1, 1]
    back = to_dask(GRAPH, [str] * 4)
    assert back[3] == (str, 1, 2)
    with pytest.raises(FormatError):
        to_dask(GRAPH, [str])


EXPECTED = {
    "dnn-partitioning/OperatorGraphs_bert_l-3_inference.json": (235, 250),
    "dnn-partitioning/OperatorGraphs_resnet50_inference.json": (604, 619),
    "wfinstances/montage-chameleon-dss-05d-001.json": (58, 114),
    "hyperdag/spmv_N50_nzP0d1.txt": (574, 711),
    "dslab/daggen-100-0.25-0.9-0.3-2.dot": (102, 130),
    "dslab/inspiral-100.xml": (100, 119),
    "dagp/2mm_10_20_30_40.dot.gz": (36500, 62200),
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_samples(name):
    graph = read_graph(samples() / name)
    assert (graph.n, graph.m) == EXPECTED[name]
    plan = schedule(graph, 8, "etf")
    plan.validate()
    assert plan.lower_bound <= plan.makespan


def test_runtimes_of_a_workflow_are_its_own():
    path = samples() / "wfinstances" / "bacass-dirt02-001.json"
    document = json.loads(path.read_text())
    total = sum(task["runtimeInSeconds"] for task in document["workflow"]["execution"]["tasks"])
    slow, fast = read_graph(path, bandwidth=1e6), read_graph(path, bandwidth=1e8)
    assert slow.work.sum() == pytest.approx(total)
    assert slow.edges()[2].sum() == pytest.approx(100 * fast.edges()[2].sum())


def test_a_torch_model_becomes_a_graph():
    torch = pytest.importorskip("torch")
    from trainmaster.dagsched.io.torch_fx import Roofline, from_model

    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    inputs = (torch.zeros(32, 64),)
    slow = from_model(model, inputs, lambda out: out.square().mean(), Roofline(1e9, 1e9, 1e9, 0.0))
    fast = from_model(model, inputs, lambda out: out.square().mean(), Roofline(1e12, 1e12, 1e12, 0.0))
    assert slow.n > 10
    assert slow.work.sum() == pytest.approx(1000 * fast.work.sum())
    # The two matrix products forward dominate: 2·32·64·128 and 2·32·128·10 operations at 1e9 a second.
    products = [w for w, name in zip(slow.work.tolist(), slow.names, strict=True) if "mm" in name]
    assert max(products) == pytest.approx(2 * 32 * 64 * 128 / 1e9, rel=0.1)
    schedule(slow, 2, "auto", effort=0.05).validate()
