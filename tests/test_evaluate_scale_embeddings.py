"""The cache of embeddings: computed once, never trusted blindly, within bounds; results are those without it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from wbench.heads.trained import ResNetSlimHead
from wbench.run import features
from wbench.run.cost import CallCost
from wbench.run.embeddings import EmbeddingCache, embeddings_folder
from wbench.run.evaluate import evaluate
from wbench.training import TrainingSettings

# Counts the samples that it embeds in a file of its own.
EMBEDDER = """
    class Mine(wbench.Embedder):
        info = wbench.ModelInfo("test/mine", revision="{revision}")

        def embed(self, batch):
            with open({counter!r}, "a") as stream:
                stream.write(f"{{len(batch)}} ")
            h = np.abs(batch.x["H"][:, 0, 0]).astype(np.float32)
            {line}
            return h
"""
TORCH = """
    class Mine(wbench.TorchEmbedder):
        info = wbench.ModelInfo("test/torch", revision="1")

        def setup(self, spec, meta):
            super().setup(spec, meta)
            import os
            from torch import nn
            from wbench.training import seeded
            seed = int(os.environ.get("TEST_WEIGHTS", 0))
            self.module = seeded(lambda: nn.Linear(meta.shape[-1], 4), seed, "mine")

        def inputs(self, batch):
            return {"h": np.abs(batch.x["H"][:, 0, 0]).astype(np.float32)}

        def forward_tokens(self, inputs):
            return self.module(inputs["h"])
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WBENCH_CACHE", raising=False)
    # Samples are counted here, and calls that are timed embed some again (tests/test_cost.py).
    monkeypatch.setattr(features, "call_costs", lambda *_: CallCost())
    monkeypatch.setattr(ResNetSlimHead, "settings", TrainingSettings(1, 64, patience=1))
    monkeypatch.setattr(ResNetSlimHead, "steps", 2)
    monkeypatch.setattr(ResNetSlimHead, "width", 8)


class Bench:
    """One embedder on one task, with the numbers of samples that it has embedded."""

    def __init__(self, lab: Lab, folder: Path, line: str = "pass", revision: str = "1") -> None:
        self.lab, self.folder, self.counter = lab, folder, folder / "count"
        self.model = write_model(folder, EMBEDDER.format(counter=str(self.counter), line=line, revision=revision))
        self.cache = folder / "cache"
        os.environ["WBENCH_CACHE"] = str(self.cache)
        task = lab.task("los")
        self.parts = [len(task.ids(part)) for part in ("train", "val", "test")]

    def run(self, out: str, task: str | Path = "los", **options: Any) -> list[Any]:
        toml = task if isinstance(task, Path) else self.lab.toml(task)
        return evaluate([self.model], [toml], size="tiny", out=self.folder / out, **options).cells

    def embedded(self) -> int:
        """Samples since the last time."""
        if not self.counter.exists():
            return 0
        counts = [int(word) for word in self.counter.read_text().split()]
        self.counter.unlink()
        return sum(counts)

    @property
    def files(self) -> list[Path]:
        return sorted(self.cache.rglob("*.npy"))


@pytest.fixture
def bench(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("WBENCH_CACHE", "")
    return Bench(lab, tmp_path)


def scores(cells: list[Any]) -> list[Any]:
    assert all(cell.result is not None for cell in cells), [cell.reason for cell in cells]
    return [(cell.cell, cell.result.predictions.digest, cell.result.scores) for cell in cells]


def test_each_sample_is_embedded_once_for_all_heads_budgets_and_draws(bench: Bench) -> None:
    asked: dict[str, Any] = {"head": ("linear", "knn"), "budgets": (30, 100), "draws": 2, "shots": (3,)}
    first = bench.run("first", **asked)
    assert len(first) == 10
    assert bench.embedded() == sum(bench.parts) + 8  # the eight that are answered a second time, alone
    assert len(bench.files) == 3
    again = bench.run("again", **asked)
    assert bench.embedded() == 0
    assert scores(again) == scores(first)
    plain = bench.run("plain", cache_bytes=0, **asked)
    assert bench.embedded() > 5 * sum(bench.parts)
    assert scores(plain) == scores(first)
    for cell in again:  # what was made before has its price in every result
        assert cell.result.cost.predict_s > 0
        assert cell.result.cost.fit_s > 0


def test_one_pass_makes_tokens_and_pooled_features(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    both = bench.run("both", head=("linear", "resnet1d-slim"))
    assert bench.embedded() == sum(bench.parts) + 8
    assert len(bench.files) == 6
    plain = bench.run("plain", head=("linear", "resnet1d-slim"), cache_bytes=0)
    assert scores(plain) == scores(both)
    bench.embedded()
    monkeypatch.setattr(features, "TOKENS_LIMIT_BYTES", 1000)
    for path in bench.files:
        path.unlink()
    large = bench.run("large", head=("linear", "resnet1d-slim"))
    assert len(bench.files) == 3  # pooled only
    assert scores(large) == scores(both)


@pytest.mark.parametrize("damage", ["flip", "cut", "sidecar", "no sidecar", "swap"])
def test_a_damaged_file_is_made_again(
    bench: Bench, damage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = bench.run("first")
    whole = {path: path.read_bytes() for path in bench.files}
    victim, other, *_ = bench.files
    bench.embedded()
    if damage == "flip":
        data = bytearray(whole[victim])
        data[-5] ^= 1
        victim.write_bytes(bytes(data))
    elif damage == "cut":
        victim.write_bytes(whole[victim][:-100])
    elif damage == "sidecar":
        victim.with_suffix(".json").write_text('{"key": ')
    elif damage == "no sidecar":
        victim.with_suffix(".json").unlink()
    else:  # whole, but another part's
        victim.write_bytes(whole[other])
        victim.with_suffix(".json").write_bytes(other.with_suffix(".json").read_bytes())
    assert scores(bench.run("again")) == scores(first)
    assert bench.embedded() in (*bench.parts, bench.parts[2] + 8)
    assert ("are damaged and are made again" in caplog.text) == (damage != "no sidecar")
    assert {path: path.read_bytes() for path in bench.files} == whole


def test_what_moves_a_feature_has_another_key(bench: Bench, lab: Lab, tmp_path: Path) -> None:
    bench.run("first")
    assert bench.embedded() > 0
    for number, other in enumerate((Bench(lab, tmp_path, revision="2"), Bench(lab, tmp_path, line="h = 2 * h"))):
        other.run(f"other {number}")
        assert other.embedded() == sum(bench.parts) + 8
    bench.run("noise", lab.toml("los", tmp_path, noise={"snr_db": [10]}))
    assert bench.embedded() == sum(bench.parts) + 8
    bench.run("first again")
    assert bench.embedded() == 0


def test_other_weights_have_another_key(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path, TORCH)
    found = []
    for out, weights in (("a", "0"), ("b", "1"), ("c", "0")):
        monkeypatch.setenv("TEST_WEIGHTS", weights)
        monkeypatch.setenv("WBENCH_CACHE", str(tmp_path / "cache"))
        found.append(scores(evaluate([model], [lab.toml("los")], size="tiny", out=tmp_path / out).cells))
    assert found[0] == found[2] != found[1]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 6


def test_a_cheat_is_caught_in_what_was_kept(lab: Lab, tmp_path: Path) -> None:
    cheat = Bench(lab, tmp_path, line="h = h - h.mean(axis=0)  # statistics of the batch")
    for out in ("first", "again"):
        (cell,) = cheat.run(out)
        assert cell.status == "failed"
        assert "depends on the other samples of its batch" in cell.reason
    assert cheat.embedded() == sum(cheat.parts) + 8  # the second time from the cache


def test_the_cache_stays_below_its_bound_and_removes_the_oldest(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", limit_bytes=3500)
    array = np.arange(200, dtype=np.float32)
    for name in "abc":
        assert cache.put({"name": name}, array, 1.0)
        os.utime(cache._path({"name": name}).with_suffix(".json"), (ord(name), ord(name)))
    assert cache.get({"name": "a"}) is not None  # used now
    assert cache.put({"name": "d"}, array, 1.0)
    there = [name for name in "abcd" if cache.get({"name": name}) is not None]
    assert there == ["a", "c", "d"]
    assert not cache.put({"name": "large"}, np.zeros(1000), 1.0)


def test_what_is_read_cannot_be_spoilt_and_costs_what_it_did(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.put({"name": "a"}, np.arange(4.0), 2.5)
    found = cache.get({"name": "a"})
    assert found is not None
    assert found.seconds == 2.5
    found.array[:] = -1
    again = cache.get({"name": "a"})
    assert again is not None
    np.testing.assert_array_equal(again.array, np.arange(4.0))
    sidecar = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert sidecar["key"] == {"name": "a"}


def test_a_full_disk_costs_time_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = bench.run("first")
    for path in bench.files:
        path.unlink()
    monkeypatch.setattr("wbench.run.embeddings.RESERVE_BYTES", 1 << 62)
    assert scores(bench.run("full")) == scores(first)
    assert "Embeddings are not kept" in caplog.text
    assert bench.files == []


def test_of_two_that_want_the_same_one_makes_it(tmp_path: Path) -> None:
    cache, made = EmbeddingCache(tmp_path), []

    def want() -> None:
        with cache.making({"name": "a"}):
            if cache.get({"name": "a"}) is None:
                made.append(1)
                cache.put({"name": "a"}, np.zeros(3), 0.0)

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embeddings_folder(tmp_path) == tmp_path / ".cache" / "embeddings"
    monkeypatch.setenv("WBENCH_CACHE", str(tmp_path / "mine"))
    assert embeddings_folder(tmp_path) == tmp_path / "mine" / "embeddings"
