"""Pre-training on small datasets: what is read, exact resume, the folder that comes out, and its models."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from tests.test_evaluate_cli import run as run_cli
from wbench import registry
from wbench.errors import ModelError, OutputConflictError, SpecError, UnknownNameError
from wbench.heads import FineTuned
from wbench.model import load_model
from wbench.run.evaluate import evaluate
from wbench.run.pretrain import CHECKPOINT, pretrain
from wbench.run.pretrain_config import PretrainConfig, load_config, pretext_of
from wbench.run.pretrain_data import Pool, Source, load_pool, unclean_tasks
from wbench.task.spec import load_spec
from wbench.training import Progress, TrainingSettings
from wbench.training.pretext import Pretext
from wbench.weights import read_weights

SMALL = {"patch": [1, 4, 4], "width": 16, "depth": 1, "heads": 2}
CUBES = {**SMALL, "patch": [2, 4, 4], "decoder_width": 16, "decoder_depth": 1}
PATCHES = "wbench_baselines.pretraining.masked_patches:MaskedPatches"
REBUILD = "wbench_baselines.pretraining.autoencoder:MaskedReconstruction"
CONTRAST = "wbench_baselines.pretraining.contrastive:ContrastiveReconstruction"
INSTANT: dict[str, Any] = {"size": "tiny", "device": "cpu"}


def config(lab: Lab, of: str, pretext: str, params: dict[str, Any], **changes: Any) -> PretrainConfig:
    table: dict[str, Any] = {
        "name": "test/small",
        "pretext": pretext,
        "summary": "For tests",
        "holdout": 0.1,
        "sources": [{"task": str(lab.toml(of)), "samples": 60}],
        "params": params,
        "training": {"epochs": 3, "batch": 16, "lr": 3e-3},
    }
    return PretrainConfig.model_validate({**table, **changes})


def halted(at: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.step == at:
            raise KeyboardInterrupt

    return stop


def test_an_interrupted_training_ends_with_the_same_bits(lab: Lab, tmp_path: Path) -> None:
    asked = config(lab, "time", REBUILD, {"network": CUBES})
    whole = pretrain(asked, tmp_path / "whole", **INSTANT)
    cut = tmp_path / "cut"
    for step in (2, 7):  # within an epoch, and after the first checkpoint was carried on from
        with pytest.raises(KeyboardInterrupt):
            pretrain(asked, cut, checkpoint_every_s=0, on_progress=halted(step), **INSTANT)
        assert [path.name for path in cut.iterdir()] == [CHECKPOINT]
    other = asked.model_copy(update={"params": {"network": CUBES, "noise": {"low": 0.0}}})
    with pytest.raises(ModelError, match="another training"):
        pretrain(other, cut, **INSTANT)
    seen: list[Progress] = []
    resumed = pretrain(asked, cut, on_progress=seen.append, **INSTANT)
    assert seen[0].step == 8
    assert seen[0].lr > 0
    assert all(at.samples_per_s > 0 and np.isfinite(at.loss) for at in seen)
    first, second = (read_weights(folder / "model.safetensors") for folder in (tmp_path / "whole", cut))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert resumed.log == whole.log
    assert (cut / "model.toml").read_bytes() == (tmp_path / "whole" / "model.toml").read_bytes()
    assert sorted(path.name for path in cut.iterdir()) == ["README.md", "model.safetensors", "model.toml"]
    with pytest.raises(OutputConflictError, match="holds a model"):
        pretrain(asked, cut, **INSTANT)


def test_only_training_samples_are_read(lab: Lab, tmp_path: Path) -> None:
    # A twin: the same users dealt anew, as wifo-dN's are beside qd-dN's.
    twin = lab.task("time", tmp_path, name="twin", split={"rule": "S2", "version": 2})
    task, path = lab.task("time"), str(tmp_path / "twin.toml")
    table = {"task": str(lab.toml("time")), "avoid": [path]}
    pool = load_pool(PretrainConfig.model_validate(
        {"name": "x", "pretext": REBUILD, "summary": "x", "sources": [table], "training": {"epochs": 1, "batch": 8}}
    ).sources, "channel", size="tiny")  # fmt: skip
    (source,) = pool.sources
    unseen = [twin.ids("val"), twin.ids("test"), task.ids("val"), task.ids("test")]
    assert not np.isin(source.ids, np.concatenate(unseen)).any()
    assert set(source.ids) == set(task.ids("train")) & set(twin.ids("train"))
    assert source.avoided == len(task.ids("train")) - len(source.ids) > 0
    assert np.array_equal(source.arrays["H"], task.dataset("train").read("channel", source.ids))
    (rows,) = pool.take(np.array([3, 1]))
    assert np.array_equal(rows["H"], source.arrays["H"][[1, 3]])
    asked = config(lab, "time", REBUILD, {}, sources=[{"task": str(lab.toml("time")), "avoid": [str(lab.toml("los"))]}])
    with pytest.raises(SpecError, match="twin"):
        load_pool(asked.sources, "channel", size="tiny")


def test_the_folder_is_a_predictor_and_an_embedder(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "mae"
    network = {**CUBES, "width": 32, "decoder_width": 32}
    asked = config(lab, "time", REBUILD, {"network": network, "masks": {"random": 0, "time": 1, "uneven": 0.3}})
    training = {"epochs": 30, "batch": 16, "lr": 1e-2}
    done = pretrain(PretrainConfig.model_validate({**asked.model_dump(), "training": training}), folder, **INSTANT)
    assert done.log.epochs[-1].loss < 0.8 * done.log.epochs[0].loss
    table = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    assert table["info"]["overlap"] == "dataset"
    assert table["info"]["pretraining"] == ["lab-mob-tiny (train)"]
    assert table["info"]["pretraining_samples"] > 0
    assert table["params"]["patch"] == [2, 4, 4]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert all(text in card for text in ("training* side", "lab-mob", done.config.digest, "Not clean for"))
    model = load_model(str(folder))
    assert (model.info.kind, model.info.parameters) == ("foundation", done.parameters)
    report = evaluate([str(folder), "wbench/zeros"], [lab.toml("time")], size="tiny", out=tmp_path / "r", seeds=2)
    ours, zeros = (cell.result for cell in report.cells)
    assert (ours.regime, ours.head, ours.model.overlap) == ("none", None, "dataset")
    assert ours.primary().value < zeros.primary().value - 0.5  # dB: it has learnt something
    (features,) = evaluate([str(folder)], [lab.toml("los")], size="tiny", out=tmp_path / "r").cells
    assert (features.result.regime, features.result.head) == ("head", "linear")
    task = lab.task("time")
    model.setup(task.spec, task.meta)
    batch = next(task.batches("test", task.ids("test")[:5]))
    answer = model.predict(batch)
    seen = batch.x["observed"]
    assert np.array_equal(answer[:, seen], batch.x["H"][:, seen])
    alone = next(task.batches("test", task.ids("test")[2:3]))
    assert np.array_equal(model.predict(alone)[0], answer[2])
    short = lab.task("time", tmp_path, name="short", params={"past": 1, "future": 2})
    assert "2 observed steps" in str(model.supports(short.spec))


def test_full_training_forgets_the_weights(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FineTuned, "settings", TrainingSettings(1, 64))
    monkeypatch.setattr(FineTuned, "steps", 2)
    params = {"network": SMALL, "antennas": [4, 8]}
    folders = []
    for seed in (0, 1):
        folders.append(tmp_path / f"seed{seed}")
        pretrain(
            config(lab, "los", CONTRAST, {"network": {**SMALL, "decoder_width": 16}}, seed=seed), folders[-1], **INSTANT
        )
    mine = tmp_path / "patches"
    pretrain(config(lab, "los", PATCHES, params), mine, **INSTANT)
    asked: dict[str, Any] = {"size": "tiny", "regime": ("fine-tune", "full"), "head": "linear"}
    found = evaluate([*map(str, folders), str(mine)], [lab.toml("los")], out=tmp_path / "r", **asked).cells
    results = [cell.result for cell in found]
    assert [r.regime for r in results] == ["fine-tune", "full"] * 3
    scores = [r.primary().value for r in results]
    assert scores[1] == scores[3]  # other weights, the same training from scratch
    assert (results[0].model.overlap, results[1].model.overlap) == ("dataset", "none")
    assert results[1].model.trained_parameters == results[1].model.parameters
    one = dict(asked, regime="fine-tune")
    (last,) = evaluate([str(mine)], [lab.toml("los")], out=tmp_path / "r", layers=1, **one).cells
    assert last.result.model.trained_parameters < results[4].model.trained_parameters
    bare = write_model(tmp_path, """
    class Mine(wbench.TorchEmbedder):
        def setup(self, spec, meta):
            import torch
            self.module = torch.nn.Module()
            self.module.w = torch.nn.Parameter(torch.ones(4))
        def inputs(self, batch):
            return {"h": np.abs(batch.x["H"][:, 0, 0, :1, :4])}
        def forward_tokens(self, inputs):
            return inputs["h"] * self.module.w
    """)  # fmt: skip
    (failed,) = evaluate([bare], [lab.toml("los")], out=tmp_path / "r", size="tiny", regime="full").cells
    assert "no reset_parameters" in failed.reason


class Diverging(Pretext):
    """Its loss is not a number from the third step on."""

    model = "tests.test_pretrain:Nothing"

    def build(self) -> torch.nn.Module:
        self.steps = 0
        return torch.nn.Linear(1, 1)

    def loss(self, network: Any, batch: Any, generator: torch.Generator) -> torch.Tensor:
        self.steps += 1
        return network(torch.ones(1)).sum() * (float("nan") if self.steps == 3 else 1.0)

    def model_params(self) -> dict[str, Any]:
        return {}


def test_divergence_stops_at_once(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="diverged") as caught:
        pretrain(config(lab, "los", "tests.test_pretrain:Diverging", {}), tmp_path / "out", **INSTANT)
    assert "step 3" in str(caught.value)
    assert not (tmp_path / "out" / "model.toml").exists()


def test_bad_configs_say_what_is_wrong(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="lwm-style-smal"):
        load_config("lwm-style-smal")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("name = 'x'\nspeed = 3\n", encoding="utf-8")
    with pytest.raises(SpecError, match="speed"):
        load_config(wrong)
    with pytest.raises(SpecError, match="heads divide"):
        pretext_of(config(lab, "los", PATCHES, {"network": {"width": 16, "heads": 3}}))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(OutputConflictError, match="other files"):
        pretrain(config(lab, "los", PATCHES, {}), tmp_path / "full", **INSTANT)
    (tmp_path / "git").mkdir()
    (tmp_path / "git" / "README.md").write_text("mine", encoding="utf-8")  # no card: there are no weights beside it
    with pytest.raises(OutputConflictError, match="other files"):
        pretrain(config(lab, "los", PATCHES, {}), tmp_path / "git", **INSTANT)
    source = {"task": str(lab.toml("los"))}
    with pytest.raises(SpecError, match="once"):
        load_pool(config(lab, "los", PATCHES, {}, sources=[source, source]).sources, "channel", size="tiny")


@pytest.mark.parametrize("order", [1, -1])
def test_another_source_s_cut_of_a_dataset_makes_a_task_unclean(order: int) -> None:
    """The same dataset by two splits: each may have in training what the other tests on."""
    sources: list[Any] = []
    for spec in map(load_spec, ("los-nlos-umi", "los-nlos-umi-uma")[::order]):
        dataset = SimpleNamespace(spec=SimpleNamespace(recipe=spec.views["train"].recipe))
        task: Any = SimpleNamespace(spec=spec, dataset=lambda _, dataset=dataset: dataset)
        sources.append(Source(task, np.arange(3), 0, {}))
    assert "los-nlos-umi" not in unclean_tasks(Pool([one for one in sources if one.task.spec.name == "los-nlos-umi"]))
    assert "los-nlos-umi" in unclean_tasks(Pool(sources))


@pytest.mark.parametrize("name", registry.registry().names("preset"))
def test_presets_are_valid(name: str) -> None:
    preset = load_config(name)
    network = pretext_of(preset).build()
    assert 1e5 < sum(weight.numel() for weight in network.parameters()) < 3e7
    assert preset.training.settings("cpu").precision == "float32"


def test_the_command_line(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"""
name = "test/cli"
pretext = "{CONTRAST}"
summary = "For tests"
sources = [{{task = "{lab.toml("los")}", samples = 40}}, {{task = "{lab.toml("time")}", samples = 30}}]
params = {{network = {{patch = [1, 4, 4], width = 16, depth = 1, heads = 2, decoder_width = 16}}, antennas = [4]}}
training = {{epochs = 1, batch = 32}}
"""
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    out = tmp_path / "model"
    words = ["pretrain", tmp_path / "c.toml", "--out", out, "--size", "tiny", "--device", "cpu"]
    assert run_cli(*words) == 0
    said = capsys.readouterr().err
    assert "samples/s" in said
    assert "rate" in said
    assert "lab-mob, training side" in said
    assert run_cli(*words) == 2
    assert "holds a model" in capsys.readouterr().err
    other = tmp_path / "other"
    assert run_cli(*words[:3], other, *words[4:], "--seed", 1) == 0
    assert "samples/s" in capsys.readouterr().err
    assert "| seed | 1 |" in (other / "README.md").read_text(encoding="utf-8")
    assert (other / "model.safetensors").read_bytes() != (out / "model.safetensors").read_bytes()
    plot, file = tmp_path / "e.png", tmp_path / "e.npz"
    words = [
        "--task",
        str(lab.toml("beam")),
        "--size",
        "tiny",
        "--samples",
        "60",
        "--plot",
        str(plot),
        "--out",
        str(file),
    ]
    assert run_cli("embed", "--model", out, *words, "--seed", "-1") == 2
    assert "Seeds are whole numbers" in capsys.readouterr().err
    assert run_cli("embed", "--model", out, *words) == 0
    assert plot.read_bytes()[:4] == b"\x89PNG"
    with np.load(file) as saved:
        assert saved["features"].shape == (60, 16)
        assert {"plane_pca", "plane_tsne", "label_best_beam", "ids"} <= set(saved.files)
    assert not capsys.readouterr().out
