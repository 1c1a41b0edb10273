"""The page on models: it shows the example files as they are, and every one of them runs."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers_lab import Lab
from tests.helpers_networks import torch_affine, write_onnx
from tools.tutorial import MODELS, MODELS_PAGE, filled, shown
from wbench.adapters import ModuleCodec, ModulePredictor
from wbench.heads import FineTuned
from wbench.model import load_model
from wbench.run.evaluate import evaluate
from wbench.weights import save_weights

ALL = ("los", "beam", "ratio", "bits", "time", "grid")


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files in a folder of a reader's own; trainings are cut short."""
    monkeypatch.setattr(ModulePredictor, "settings", replace(ModulePredictor.settings, epochs=2))
    monkeypatch.setattr(ModulePredictor, "steps", 10)
    monkeypatch.setattr(ModuleCodec, "steps", 60)
    monkeypatch.setattr(FineTuned, "steps", 20)
    monkeypatch.setattr(FineTuned, "settings", replace(FineTuned.settings, epochs=2))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(MODELS, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__")))


def statuses(lab: Lab, model: str, out: Path, tasks: tuple[str, ...] = ALL) -> dict[str, str]:
    report = evaluate([model], [lab.toml(of) for of in tasks], size="tiny", out=out / "results")
    assert not report.failures, report.failures[0].reason
    return {of: cell.status for of, cell in zip(tasks, report.cells, strict=True)}


def test_the_page_shows_the_files_as_they_are() -> None:
    page = MODELS_PAGE.read_text(encoding="utf-8")
    assert filled(page, MODELS) == page, "run: python tools/tutorial.py"
    files = [p for p in MODELS.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sorted(shown(page)) == sorted(p.relative_to(MODELS).as_posix() for p in files)


def test_a_whole_model_in_less_than_thirty_lines(lab: Lab, examples: Path) -> None:
    assert len((examples / "net.py").read_text().splitlines()) < 30
    found = statuses(lab, "mine/net.py:Net", examples)
    assert [of for of in ALL if found[of] == "done"] == ["los", "beam"]
    assert set(found.values()) == {"done", "not applicable"}


def test_a_model_without_a_framework(lab: Lab, examples: Path) -> None:
    assert len((examples / "plain.py").read_text().splitlines()) < 31
    found = statuses(lab, "mine/plain.py:Plain", examples)
    assert found == {of: "done" if of in ("los", "beam") else "not applicable" for of in ALL}


def test_pretrained_features(lab: Lab, examples: Path) -> None:
    spec = importlib.util.spec_from_file_location("features_of_the_page", examples / "features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    save_weights(examples / "features.safetensors", module.Encoder().state_dict())
    model = load_model("mine/features.py:Features")
    assert (model.info.pretraining_samples, len(model.info.revision)) == (20_000, 12)
    found = statuses(
        lab, "mine/features.py:Features", examples, ("los", "beam", "ratio")
    )  # beams: 4 antennas are shown
    assert found == {"los": "done", "beam": "done", "ratio": "not applicable"}
    tuned = evaluate(
        ["mine/features.py:Features"],
        [lab.toml("los")],
        size="tiny",
        out=examples,
        regime="fine-tune",
        layers=1,
        shots=[5],
        draws=1,
    )
    assert tuned.results[0].layers == 1


def test_feedback(lab: Lab, examples: Path) -> None:
    assert statuses(lab, "mine/codec.py:Linear", examples, ("los", "ratio")) == {
        "los": "not applicable",
        "ratio": "done",
    }


def test_an_estimator(lab: Lab, examples: Path) -> None:
    found = statuses(lab, "mine/estimator.py:Regression", examples, ("los", "beam", "time"))
    assert found == {"los": "done", "beam": "done", "time": "not applicable"}


def test_an_exported_file(lab: Lab, examples: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    write_onnx(examples / "exported/model.onnx", (1, 1, 8, 16), 2)
    assert statuses(lab, "./mine/exported", examples, ("los", "beam")) == {"los": "done", "beam": "not applicable"}


def test_the_line_that_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs it; wbench does not")
    import torch

    (line,) = [one.strip() for one in MODELS_PAGE.read_text("utf-8").splitlines() if "torch.onnx.export(" in one]
    monkeypatch.chdir(tmp_path)
    exec(line, {"torch": torch, "network": torch_affine((1, 1, 8, 16), 2), "x": torch.zeros(4, 2, 1, 1, 8, 16)})
    assert (tmp_path / "model.onnx").exists()


def test_a_keras_file(examples: Path) -> None:
    keras = pytest.importorskip("keras", reason="the extra [tensorflow] is not installed")
    import numpy as np

    from tests.helpers_models import complex_normal, make_batch, make_meta, make_spec

    layers = [keras.Input((2, 1, 1, 8, 16)), keras.layers.Flatten(), keras.layers.Dense(4)]
    keras.Sequential(layers).save(examples / "keras/model.keras")
    model = load_model("./mine/keras")
    meta = make_meta((1, 1, 4, 16), classes=2)
    assert model.accepts(meta) is None
    model.setup(make_spec("los-nlos", "classify"), meta)
    batch = make_batch(complex_normal(np.random.default_rng(0), 3, 1, 1, 4, 16), meta)
    assert model.embed(batch).shape == (3, 1, 4)
