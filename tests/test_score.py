"""Recomputing scores from predictions, and refusing what was changed, is stale or points elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_lab import TASKS, Lab
from wbench.digest import array_digest
from wbench.errors import DatasetError, ResultError, UnknownNameError, WBenchError
from wbench.metric.classification import F1Macro
from wbench.run.evaluate import evaluate
from wbench.run.score import score, score_predictions

HEADER = b"\x93NUMPY\x01\x00\x76\x00"
MODELS = {
    "los": "wbench/knn",
    "beam": "wbench/zero-padded-fft",
    "ratio": "wbench/zeros-codec",
    "bits": "wbench/fixed-precoder",
    "time": "wbench/hold",
    "grid": "wbench/ls-linear",
}


@pytest.fixture(scope="module")
def folders(built_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("results")
    found = {}
    for name, model in MODELS.items():
        (cell,) = evaluate([model], [built_lab.toml(name)], size="tiny", out=out, data=built_lab.data).cells
        assert cell.path is not None, cell.reason
        found[name] = cell.path.parent
    return found


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of one result that may be spoiled."""
    return Path(shutil.copytree(folders["los"], tmp_path / "result"))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "result.json"
    table = json.loads(path.read_text())
    for name, value in changes.items():
        table[name] = {**table[name], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(table))


@pytest.mark.parametrize("name", TASKS)
def test_scores_are_recomputed(lab: Lab, folders: dict[str, Path], name: str) -> None:
    stored, scores = score(folders[name], task=lab.toml(name))
    assert len(scores) == len(stored.scores) > 0
    for old, new in zip(stored.scores, scores, strict=True):
        assert (new.metric, new.slice, new.n) == (old.metric, old.slice, old.n)
        assert new.value == pytest.approx(old.value, abs=1e-9)
        np.testing.assert_allclose(new.replicates, old.replicates, atol=1e-9)
        assert (new.interval is None) == (old.interval is None)


def test_ranked_is_the_ranked_slice(lab: Lab, folders: dict[str, Path]) -> None:
    stored, _ = score(folders["beam"] / "result.json", task=lab.toml("beam"))
    task = lab.task("beam")
    ids = task.ids("test")
    middle = int((task.snr_db("test", ids) == 0).sum())
    assert stored.primary().n == middle < len(ids)
    assert {s.slice for s in stored.scores} == {"ranked", "all", "snr_db=-10", "snr_db=0", "snr_db=10"}
    by_slice = {s.slice: s for s in stored.scores if s.metric == "within_1db"}
    assert by_slice["ranked"].value == by_slice["snr_db=0"].value
    total = sum(by_slice[f"snr_db={snr}"].value * by_slice[f"snr_db={snr}"].n for snr in (-10, 0, 10))
    assert by_slice["all"].value == pytest.approx(total / len(ids))
    assert by_slice["ranked"].replicates
    assert not by_slice["all"].replicates


def test_changed_predictions(lab: Lab, folder: Path) -> None:
    path = folder / "predictions.npy"
    values = np.load(path)
    values[0] += 1
    np.save(path, values)
    with pytest.raises(ResultError, match="not those of the result"):
        score(folder, task=lab.toml("los"))
    # With a matching digest they are scored as they are: the stored scores are never trusted.
    edit(folder, predictions={"digest": array_digest(values)})
    values[:] = np.eye(2)[lab.task("los").truth("test", lab.task("los").ids("test"))["label"]]
    np.save(path, values)
    edit(folder, predictions={"digest": array_digest(values)}, calibration={"f1_macro": {"threshold": 0.0}})
    stored, scores = score(folder, task=lab.toml("los"))
    assert scores[0].value == 1.0 != stored.scores[0].value


@pytest.mark.parametrize("rows", [79, 81, 0])
def test_predictions_that_do_not_cover_the_test_part(lab: Lab, folder: Path, rows: int) -> None:
    values = np.zeros((rows, 2), np.float32)
    np.save(folder / "predictions.npy", values)
    edit(folder, predictions={"digest": array_digest(values)})
    with pytest.raises(ResultError, match=r"do not cover|cannot be read"):
        score(folder, task=lab.toml("los"))


@pytest.mark.parametrize("values", [np.zeros((80, 5), "f4"), np.full((80, 2), np.nan, "f4"), np.zeros((80, 2), "c8")])
def test_predictions_of_another_kind(lab: Lab, folder: Path, values: np.ndarray) -> None:
    np.save(folder / "predictions.npy", values)
    edit(folder, predictions={"digest": array_digest(values)})
    with pytest.raises(ResultError):
        score(folder, task=lab.toml("los"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not numpy",
        b"PK\x03\x04 a zip",
        b"\x93NUMPY\x01\x00\x76\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 2), }".ljust(117)
        + b"\n",
        b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\nx",
    ],
)
def test_files_that_are_no_predictions(lab: Lab, folder: Path, content: bytes) -> None:
    (folder / "predictions.npy").write_bytes(content)
    with pytest.raises(ResultError, match="cannot be read"):
        score(folder, task=lab.toml("los"))


def test_missing_predictions(lab: Lab, folder: Path) -> None:
    (folder / "predictions.npy").unlink()
    with pytest.raises(ResultError, match="cannot be read"):
        score(folder, task=lab.toml("los"))


@pytest.mark.parametrize("path", ["../predictions.npy", "/etc/hostname", "a/../predictions.npy", "", ".", "x\0y"])
def test_paths_out_of_the_folder(lab: Lab, folder: Path, path: str) -> None:
    shutil.copy(folder / "predictions.npy", folder.parent / "predictions.npy")
    edit(folder, predictions={"path": path})
    with pytest.raises(ResultError, match=r"outside|cannot be read"):
        score(folder, task=lab.toml("los"))


def test_links_out_of_the_folder(lab: Lab, folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere.npy"
    (folder / "predictions.npy").rename(elsewhere)
    (folder / "predictions.npy").symlink_to(elsewhere)
    with pytest.raises(ResultError, match="outside"):
        score(folder, task=lab.toml("los"))


def test_stale_results(lab: Lab, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = lab.toml("los", tmp_path, noise={"snr_db": [5]})
    with pytest.raises(ResultError, match="task has changed"):
        score(folder, task=changed)
    with monkeypatch.context() as patch:
        patch.setattr(F1Macro, "version", 2)
        with pytest.raises(ResultError, match="metric has changed"):
            score(folder, task=lab.toml("los"))
    record = json.loads((folder / "result.json").read_text())["datasets"][0]
    for field, message in (("spec_digest", "dataset has changed"), ("split_digest", "split has changed")):
        edit(folder, datasets=[{**record, field: "sha256:other"}])
        with pytest.raises(ResultError, match=message):
            score(folder, task=lab.toml("los"))
    edit(folder, datasets=[])
    with pytest.raises(ResultError, match="dataset has changed"):
        score(folder, task=lab.toml("los"))


def test_a_dataset_of_another_recipe_version(lab: Lab, folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "lab-snap.toml"
    recipe.write_text((lab.root / "lab-snap.toml").read_text().replace("paths = 4", "paths = 5"))
    views = {part: {"recipe": str(recipe), "side": part} for part in ("train", "val", "test")}
    with pytest.raises(DatasetError, match="another version"):
        score(folder, task=lab.toml("los", tmp_path, views=views))


def test_names_that_are_gone(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="lab-los"):
        score(folder)  # not a registered instance
    edit(folder, task={"size": "giant"})
    with pytest.raises(WBenchError):
        score(folder)


def test_undefined_slices_are_skipped_with_a_reason(lab: Lab) -> None:
    task = lab.task("los")
    ids = task.ids("test")
    label = task.truth("test", ids)["label"]
    one_class = ids[label == 1]
    with pytest.raises(ResultError):  # the ranked primary metric must be defined
        score_predictions(task, one_class, np.zeros((len(one_class), 2), np.float32), {})
    moving = lab.task("time")
    ids = moving.ids("test")
    answers = np.zeros((len(ids), 2 * 4 * 8), np.complex64)
    scores, skipped = score_predictions(moving, ids, answers, {})
    assert {s.slice for s in scores} >= {"ranked", "all", "los=LoS", "los=NLoS"}
    assert not skipped
