"""What a result says about its task, its datasets and its model."""

from __future__ import annotations

import math

from wbench.model import Model
from wbench.result import DatasetRecord, ModelRecord, TaskRecord
from wbench.run.fingerprint import shipped_verdict
from wbench.task.base import Task
from wbench.tuning import chosen_values

__all__ = ["dataset_record", "model_record", "task_record"]


def task_record(task: Task) -> TaskRecord:
    """The task instance, with the size of its test data."""
    return TaskRecord(
        name=task.spec.name,
        version=task.spec.version,
        digest=task.spec.digest,
        family=task.spec.family,
        kind=task.spec.kind,
        primary=task.spec.primary,
        size=task.dataset("test").spec.size,
        season=task.dataset("test").spec.season,
    )


def dataset_record(task: Task, recipe: str) -> DatasetRecord:
    """One of its datasets, with the verdict on whether it is the published one."""
    dataset = task.datasets[recipe]
    verdict = shipped_verdict(dataset)
    return DatasetRecord(
        recipe=recipe,
        spec_digest=dataset.spec.digest,
        content_digest=dataset.content_digest,
        split_digest=task.split_digest(recipe),
        verdict=verdict.kind if verdict else None,
        worst_db=verdict.worst_db if verdict and math.isfinite(verdict.worst_db) else None,
    )


def model_record(model: Model) -> ModelRecord:
    """What a fitted model declares, counts and chose."""
    info = model.info
    return ModelRecord(
        name=info.name,
        revision=info.revision,
        kind=info.kind,
        summary=info.summary,
        source=info.source,
        licence=info.licence,
        parameters=int(model.count_parameters()),
        trained_parameters=int(model.count_trained_parameters()),
        trains=info.trains,
        pretraining=info.pretraining,
        pretraining_samples=info.pretraining_samples or None,
        overlap=info.overlap,
        chosen=chosen_values(model.searches),
    )
