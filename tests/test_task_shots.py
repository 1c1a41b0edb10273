"""Few-shot parts: as many samples of every class, nested, keyed, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.helpers_lab import Lab
from wbench.errors import SpecError
from wbench.task.part import TaskData
from wbench.task.shots import shot_ids

IDS = np.arange(100, 1100)
LABEL = np.random.default_rng(0).choice(3, size=1000, p=[0.6, 0.35, 0.05])


def labels(ids: Any) -> Any:
    return LABEL[ids - 100]


def draw(shots: int, *key: str) -> Any:
    return shot_ids(IDS, labels, 3, shots, *(key or ("0", "digest")))


def test_k_of_every_class_nested_and_keyed() -> None:
    before: set[int] = set()
    for shots in (1, 5, 10, 40):
        ids = draw(shots)
        assert np.bincount(labels(ids)).tolist() == [shots] * 3
        assert np.all(np.diff(ids) > 0)
        assert before < set(ids.tolist())
        before = set(ids.tolist())
    assert not np.array_equal(draw(5), draw(5, "1", "digest"))
    np.testing.assert_array_equal(draw(5), draw(5))


def test_every_sample_of_a_class_is_as_likely() -> None:
    mine = np.flatnonzero(LABEL == 2) + 100
    counts = np.zeros(1100)
    for number in range(400):
        counts[draw(5, str(number))] += 1
    rate = counts[mine] / 400
    share = 5 / len(mine)
    assert rate.mean() == pytest.approx(share)
    assert abs(rate - share).max() < 4.5 * np.sqrt(share * (1 - share) / 400)


def test_only_as_many_labels_as_needed_are_looked_at() -> None:
    asked: list[int] = []

    def counted(ids: Any) -> Any:
        asked.append(len(ids))
        return labels(ids)

    shot_ids(IDS, counted, 3, 2, "0")
    assert sum(asked) < 600


def test_too_few_samples_of_a_class() -> None:
    have = int((LABEL == 2).sum())
    assert len(draw(have)) == 3 * have
    with pytest.raises(SpecError, match=f"not {have + 1} samples") as caught:
        draw(have + 1)
    assert f"{have} of class 2" in str(caught.value)
    some = shot_ids(IDS, labels, 3, have + 1, "0", "digest", fewer=True)
    assert np.bincount(labels(some)).tolist() == [have + 1, have + 1, have]
    with pytest.raises(SpecError, match="0 of class 3"):
        shot_ids(IDS, labels, 4, 5, "0", fewer=True)
    with pytest.raises(SpecError, match="from 1 on"):
        draw(0)


def test_parts_of_a_task(lab: Lab) -> None:
    task = lab.task("los")
    for part in ("train", "val"):
        data = TaskData(task, part, shots=5, draw=1)  # type: ignore[arg-type]
        batch, truth = data.load()
        assert np.bincount(truth["label"]).tolist() == [5, 5]
        assert set(batch.ids.tolist()) <= set(task.ids(part).tolist())  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="samples of a class"):
        TaskData(lab.task("time"), "train", shots=5)
    with pytest.raises(SpecError, match="not training data"):
        TaskData(task, "test", shots=5)
