"""One small valid submission, made without any data: answers and labels drawn at random, everything else as it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbench.digest import array_digest
from wbench.metric.catalogue import get_metric
from wbench.result import CostRecord, DatasetRecord, ModelRecord, PredictionsRecord, Result, Score, TaskRecord
from wbench.run.plan import season_spec
from wbench.stats import group_clusters, jackknife
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.arrays import pack_array
from wbench_leaderboard.submission.card import model_card
from wbench_leaderboard.submission.columns import Columns
from wbench_leaderboard.submission.current import current

TASK = "los-nlos-umi"
SAMPLES = 40
CLUSTERS = 6
METRICS = ("f1_macro", "f1_binary", "balanced_accuracy", "auroc", "auprc")


@dataclass(frozen=True)
class Made:
    """A result with its arrays."""

    result: Result
    columns: Columns
    predictions: np.ndarray[Any, Any]


def make(
    model: str = "lab/net",
    revision: str = "1",
    seed: int = 0,
    size: str = "standard",
    *,
    samples: int = SAMPLES,
    clusters: int = CLUSTERS,
    answers: Any = None,
    season: str = "",
    **changes: Any,
) -> Made:
    """A result of a zero-shot model; ``changes`` replace its fields, ``model_*`` those of the model.

    ``seed`` is that of the random answers, ``seed_`` the one the result names; ``samples`` and ``clusters`` are those
    of the test part, ``answers`` a function of the predictions drawn at random. A ``season`` makes it another instance,
    on a further dataset.
    """
    rng = np.random.default_rng(abs(hash((seed, 7))) % 2**32)
    now = current(TASK, size)
    label = (np.arange(samples) % 3 == 0).astype(np.int64)
    predictions = rng.standard_normal((samples, 2)).astype(np.float32)
    predictions[:, 1] += label
    predictions = predictions if answers is None else answers(predictions)
    tables = {name: get_metric(name).per_sample(predictions, {"label": label}, {}) for name in now.spec.metrics}
    cluster = np.arange(samples, dtype=np.int64) % clusters
    spec = season_spec(now.spec, season)
    groups = group_clusters(cluster, spec.digest)
    scores = []
    for slice_ in ("ranked", "all"):
        for name, table in tables.items():
            metric = get_metric(name)
            found = jackknife(metric.reduce, table, groups)
            interval = found.interval
            assert interval is not None
            low, high = np.clip((interval.low, interval.high), *metric.bounds).tolist()
            scores.append(
                Score(
                    metric=name,
                    metric_version=metric.version,
                    unit=metric.unit,
                    higher_is_better=metric.higher_is_better,
                    slice=slice_,
                    value=found.value,
                    n=samples,
                    interval=interval.model_copy(update={"low": low, "high": high}),
                    tie_rate=metric.tie_rate(table, np.ones(samples)),
                    replicates=found.replicates if slice_ == "ranked" else (),
                )
            )
    own = {name[6:]: changes.pop(name) for name in list(changes) if name.startswith("model_")}
    about = {"kind": "user", "summary": "A net", "source": "https://example.org/net", "licence": "Apache-2.0"}
    datasets = dict(now.datasets)
    if season:
        datasets[spec.views["test"].recipe] = ("sha256:" + "5e" * 32, "sha256:" + "a5" * 32)
    fields: dict[str, Any] = {
        "task": TaskRecord(
            name=spec.name, version=spec.version, digest=spec.digest, family=spec.family, kind=spec.kind,
            primary=spec.primary, size=size, season=season,
        ),
        "datasets": tuple(
            DatasetRecord(
                recipe=recipe, spec_digest=digests[0], content_digest="sha256:" + "ab" * 32, split_digest=digests[1],
                verdict="equivalent", worst_db=-95.0,
            )
            for recipe, digests in datasets.items()
        ),
        "model": ModelRecord(**{"name": model, "revision": revision, **about, **own}),
        "regime": "none",
        "budget_percent": 100.0,
        "draw": 0,
        "seed": changes.pop("seed_", 0),
        "n_train": 0,
        "n_val": 0,
        "n_test": samples,
        "scores": tuple(scores),
        "cost": CostRecord(predict_s=0.5, predict_samples=samples),
        "predictions": PredictionsRecord(
            path=layout.PREDICTIONS, digest=array_digest(predictions), bytes=len(pack_array(predictions))
        ),
        "provenance": {"wbench": "0.1.0", "machine": {"system": "Linux"}},
        **changes,
    }  # fmt: skip
    columns = Columns(np.arange(samples) * 3, cluster, np.ones((samples, 2), np.uint8), tables)
    return Made(Result(**fields), columns, predictions)


def lay(root: Path, *made: Made, **manifest: Any) -> Path:
    """Write one submission below ``root``; its folder."""
    first = made[0].result.model
    folder = root / layout.folder_of(first.name, first.revision)
    for one in made:
        place = folder / layout.result_folder(one.result)
        place.mkdir(parents=True)
        (place / layout.RESULT).write_text(one.result.model_dump_json(indent=1) + "\n")
        (place / layout.COLUMNS).write_bytes(one.columns.pack())
        (place / layout.PREDICTIONS).write_bytes(pack_array(one.predictions))
    (folder / layout.CARD).write_text(model_card([one.result for one in made]))
    table = {"schema_version": 1, "model": first.name, "revision": first.revision, **manifest}
    (folder / layout.MANIFEST).write_text(json.dumps(table))
    seal(folder)
    return folder


def seal(folder: Path, **changes: Any) -> None:
    """Bring the list of files up to what lies there: what somebody who means harm would do as well."""
    path = folder / layout.MANIFEST
    table = json.loads(path.read_text()) | changes
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and file != path:
            content = file.read_bytes()
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            files[file.relative_to(folder).as_posix()] = {"sha256": digest, "bytes": len(content)}
    table["files"] = files
    path.write_text(json.dumps(table, indent=1))


def edit(folder: Path, change: Any, *, sealed: bool = True) -> None:
    """Change the table of the first result with a function."""
    path = result_file(folder)
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    if sealed:
        seal(folder)


def result_file(folder: Path) -> Path:
    """The first ``result.json``."""
    return sorted(folder.glob("results/*/*/*/result.json"))[0]
