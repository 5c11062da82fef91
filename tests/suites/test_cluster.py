# SPDX-License-Identifier: Apache-2.0
"""A run on a real cluster of this machine, one node of which is lost on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vnnverify.suites import Header, Record, read_journal
from vnnverify.suites.answering import Manner
from vnnverify.suites.instances import Instance
from vnnverify.suites.run import run

pytest.importorskip("ray", reason="needs the extra vnnverify[ray]")

from vnnverify.suites.cluster import cluster_workers

ROOT = Path(__file__).parents[2]
PLUGIN = """
import time
from vnnverify import Backend, BackendInfo, NoOptions, Outcome, hookimpl

class Slow(Backend[NoOptions]):
    def verify(self, query, ctx):
        time.sleep(0.5)
        return Outcome.unsat()

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="slow", summary="takes its time", load=lambda: Slow)
"""


class Watcher:
    """Has a node taken away after the third answer."""

    def __init__(self, lose: Callable[[], None]) -> None:
        self._lose = lose
        self.records: list[Record] = []
        self.begins = 0

    def begun(self, worker: int, instance: Instance) -> None:
        self.begins += 1

    def done(self, worker: int, record: Record) -> None:
        self.records.append(record)
        if len(self.records) == 3:
            self._lose()

    def close(self) -> None:
        pass


@pytest.mark.long
def test_every_instance_is_decided_once_though_a_node_is_lost(
    install: Callable[[str, Mapping[str, str]], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ray.cluster_utils import Cluster

    paths = (install("slow", {"slow": PLUGIN}), ROOT, os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model, query = "models_onnx/tiny.onnx", "specs/tiny_unsat.vnnlib"
    instances = [Instance(i, "f", str(ROOT), model, query, 60.0) for i in range(11)]
    instances.append(Instance(11, "f", str(ROOT), "models_onnx/none.onnx", query, 60.0))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        watcher = Watcher(lambda: cluster.remove_node(nodes[1], allow_graceful=False))
        with cluster_workers(cluster.address, 2, device="cpu") as hire:
            run(
                instances, Manner(("slow",)), tmp_path / "run", Header((), 12), hire,
                workers=2, place="ray", watch=lambda total, before: watcher,
            )  # fmt: skip
    finally:
        cluster.shutdown()
    records = read_journal(tmp_path / "run")
    assert [record.index for record in records] == list(range(12))
    assert [record.verdict.value for record in records] == ["unsat"] * 11 + ["error"]
    assert records[11].reason.startswith(f"{ROOT}/models_onnx/none.onnx: no such file")
    assert watcher.begins > 12  # somebody else took what the lost node was at
