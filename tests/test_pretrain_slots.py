"""The multi-feature token model: what it sees of link features, and a pre-training on a small dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers_slots import task_text, write_recipe
from wbench.run.evaluate import evaluate
from wbench.run.generate import generate
from wbench.run.plan import dataset_path, load_task
from wbench.run.pretrain import pretrain
from wbench.run.pretrain_config import PretrainConfig
from wbench.task.base import Task
from wbench.task.batch import Batch
from wbench_baselines.pretraining.slot_tokens import CONTEXT, SLOTS, TOKENS_PER_SLOT
from wbench_baselines.pretraining.slots import SlotEmbedder


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("slots")
    recipe = write_recipe(root)
    generate(recipe, size="tiny", out=dataset_path("little-slots", "tiny", data=root))
    for mode in ("forecast", "interpolate"):
        (root / f"{mode}.toml").write_text(task_text(recipe, "rank", mode), encoding="utf-8")
    return root


def batch_of(task: Task, **changes: np.ndarray) -> Batch:
    found = next(task.batches("train", task.ids("train")[:4]))
    return Batch(found.ids, {**found.x, **changes}, None, found.meta)


def model_on(task: Task) -> SlotEmbedder:
    model = SlotEmbedder(width=16, depth=1, heads=2)
    model.setup(task.spec, task.meta)
    return model


def test_hidden_slots_and_padding_are_not_seen(slots: Path) -> None:
    task = load_task(slots / "interpolate.toml", size="tiny", data=slots)
    model, whole = model_on(task), batch_of(task)
    tokens = model.embed(whole)
    assert tokens.shape == (4, SLOTS * TOKENS_PER_SLOT + CONTEXT + 1, 16)
    pooled = model.pool(tokens)
    assert pooled.shape == (4, (6 + SLOTS + 1) * 16)
    assert np.array_equal(pooled[:, -16:-11], whole.x["rank"] * whole.x["rank_mask"])  # what is seen, as it is
    np.testing.assert_allclose(model.pool(torch.from_numpy(tokens)).numpy(), pooled, rtol=1e-5, atol=1e-6)
    alone = SlotEmbedder(values=False, width=16, depth=1, heads=2)
    alone.setup(task.spec, task.meta)
    assert np.array_equal(alone.pool(alone.embed(whole)), pooled[:, : (6 + SLOTS) * 16])
    of_rank = tokens[:, TOKENS_PER_SLOT - 1 : SLOTS * TOKENS_PER_SLOT : TOKENS_PER_SLOT]  # the last of each slot
    assert np.array_equal(pooled[:, 5 * 16 : 10 * 16], of_rank.reshape(4, -1))
    shown = whole.x["rank_mask"][0]
    assert list(shown) == [True, True, False, True, True]
    rank = whole.x["rank"].copy()
    rank[:, 2] = 3.0
    assert np.array_equal(model.embed(batch_of(task, rank=rank)), tokens)
    rank[:, 3] = 4 - whole.x["rank"][:, 3]
    assert not np.array_equal(model.embed(batch_of(task, rank=rank)), tokens)
    # A token's error is of its own feature: spoil one scalar, and one column of errors changes.
    inputs = {k: torch.from_numpy(v) for k, v in model.inputs(whole).items()}
    hidden = torch.ones(4, SLOTS, TOKENS_PER_SLOT, dtype=torch.bool)
    errors, there = model.module(inputs, hidden)
    assert not there[:, 2].any()
    assert there[:, 0, :6].all()
    other, _ = model.module({**inputs, "doppler_width": inputs["doppler_width"] + 50}, hidden)
    assert (errors != other).any(dim=(0, 1)).nonzero().flatten().tolist() == [2]
    assert "link features" in str(model.supports(load_like("los-nlos-umi")))


def load_like(name: str) -> object:
    from wbench.task.spec import load_spec

    return load_spec(name)


def test_pre_training_and_evaluation(slots: Path, tmp_path: Path) -> None:
    config = PretrainConfig.model_validate(
        {
            "name": "test/slots",
            "pretext": "wbench_baselines.pretraining.slots:MaskedFeatures",
            "summary": "For tests",
            "sources": [{"task": str(slots / "forecast.toml")}],
            "params": {"network": {"width": 16, "depth": 1, "heads": 2}},
            "training": {"epochs": 8, "batch": 8, "lr": 1e-2},
        }
    )
    done = pretrain(config, tmp_path / "slots", size="tiny", data=slots, device="cpu")
    assert done.log.epochs[-1].loss < 0.8 * done.log.epochs[0].loss
    (cell,) = evaluate(
        [str(tmp_path / "slots")], [slots / "forecast.toml"], size="tiny", data=slots, out=tmp_path
    ).cells
    assert cell.result is not None, cell.reason
    assert (cell.result.regime, cell.result.model.overlap) == ("head", "dataset")
