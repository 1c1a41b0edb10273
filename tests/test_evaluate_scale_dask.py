"""Evaluation on the workers of a real Dask scheduler: the same results as here."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs wbench[dask]")

from tests.helpers_dask import Cluster
from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from tests.test_evaluate_scale import EMBEDDER, found, predictor
from wbench.run.evaluate import evaluate


def test_a_cluster_gives_what_this_process_gives(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models = ["wbench/majority", predictor(tmp_path, "broken", "raise RuntimeError"), write_model(tmp_path, EMBEDDER)]
    relative = [model.replace(f"{tmp_path}/", "./") for model in models]  # the workers have another current folder
    tasks = [lab.toml("los"), lab.toml("ratio")]
    with Cluster(tmp_path) as cluster:
        cluster.start_workers(2)
        far = evaluate(relative, tasks, size="tiny", out="far", head=("linear", "knn"), dask=cluster.address)
    here = evaluate(models, tasks, size="tiny", out="here", head=("linear", "knn"))
    assert found(far.cells) == found(here.cells)
    assert [cell.status for cell in far.cells][:4] == ["done", "failed", "done", "done"]
    assert all(cell.path is None or cell.path.exists() for cell in far.cells)
