"""Model folders: read strictly, used like a name, told apart by code, parameters and weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_lab import Lab
from tests.helpers_networks import write_onnx
from wbench.errors import MissingError, PluginError, SpecError, UsageError
from wbench.model import load_model
from wbench.run.evaluate import evaluate
from wbench.two_sided import absolute

NET = """
import numpy as np
import wbench

class Net(wbench.Predictor):
    def __init__(self, weights=None, gain=1.0):
        self.weights, self.gain = weights, gain

    def predict(self, batch):
        power = np.abs(batch.x["H"]).max(axis=(1, 2, 3, 4)) * self.gain * np.load(self.weights)
        return np.stack([-power, power], axis=1)

class Odd:
    pass
"""
TOML = """
api = 1
object = "./net.py:Net"
weights = "w.npy"
[params]
gain = 2.0
[info]
name = "me/net"
licence = "MIT"
summary = "power"
pretraining = ["snap-umi"]
pretraining_samples = 40
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "net-folder"
    made.mkdir()
    (made / "net.py").write_text(NET)
    (made / "model.toml").write_text(TOML)
    np.save(made / "w.npy", 3.0)
    return made


def test_a_folder_is_used_like_a_name(lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    out = folder.parent / "results"
    for reference in ("./net-folder", "net-folder", str(folder), str(folder / "model.toml")):
        report = evaluate([reference], [lab.toml("los")], size="tiny", out=out)
        assert [cell.status for cell in report.cells] in (["done"], ["kept"]), report.cells
    (result,) = report.results
    assert (result.model.name, result.model.licence) == ("me/net", "MIT")
    assert (result.model.pretraining, result.model.pretraining_samples) == (("snap-umi",), 40)
    assert len(list(out.rglob("result.json"))) == 1
    two = evaluate(["./net-folder"], [lab.toml("los"), lab.toml("beam")], size="tiny", out=folder / "two", workers=2)
    assert two.cells[0].status == "done"


def test_workers_elsewhere_find_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert absolute("./net-folder") == absolute("net-folder/model.toml") == str(folder)
    assert absolute("wbench/constant") == "wbench/constant"


def test_the_revision_hangs_on_code_parameters_and_weights(folder: Path) -> None:
    def revision() -> str:
        return load_model(str(folder)).info.revision

    seen = {revision()}
    assert revision() in seen
    np.save(folder / "w.npy", 4.0)
    seen.add(revision())
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace("gain = 2.0", "gain = 2.5"))
    seen.add(revision())
    moved = folder.with_name("other")  # another module: files are imported once per process
    shutil.copytree(folder, moved)
    assert load_model(str(moved)).info.revision in seen
    (moved / "net.py").write_text(NET + "\n# changed\n")
    seen.add(load_model(str(moved)).info.revision)
    assert len(seen) == 4
    (folder / "model.toml").write_text(text.replace("[info]", '[info]\nrevision = "7"'))
    assert revision() == "7"
    (folder / "model.toml").write_text(text.replace('summary = "power"', 'summary = "other words"'))
    np.save(folder / "w.npy", 3.0)
    assert revision() in seen


def test_a_registered_model_with_parameters_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text('api = 1\nmodel = "wbench/constant"\n[info]\nsummary = "mine"')
    found, own = load_model(str(tmp_path)).info, load_model("wbench/constant").info
    assert (found.name, found.summary, found.revision) == (own.name, "mine", own.revision)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("api = 2", SpecError, r"api = 2, this wbench reads api = 1"),
        ('object = "./net.py:Net"', SpecError, "api: Field required"),
        ("api = 1", SpecError, "needs either object = "),
        ('api = 1\nobject = "a:B"\nmodel = "c/d"', SpecError, "needs either object = "),
        ('api = 1\nobject = "./net.py:Net"\nweight = "x"', SpecError, "weight: unknown field"),
        ('api = 1\nobject = "./net.py:Net"\n[info]\nlicense = "MIT"', SpecError, "info.license: unknown field"),
        ('api = 1\nobject = "./net.py:Net"\n[params]\nweights = "x"', SpecError, "top level"),
        ('api = 1\nobject = "./net.py:Net"\nweights = "no.npy"', MissingError, r"no\.npy.*\n.*model\.toml names them"),
        ('api = 1\nobject = "./net.py:Nett"', PluginError, "no 'Nett'.*\n.*\n.*has the classes.*Net"),
        ('api = 1\nobject = "./nett.py:Net"', PluginError, "No such file"),
        ('api = 1\nobject = "no_such_module:Net"', PluginError, "cannot be imported"),
        ('api = 1\nobject = "./net.py:Odd"', PluginError, "is not a model"),
        ('api = 1\nmodel = "wbench/no-such"', UsageError, "Unknown model"),
        ('api = 1\nobject = "./net.py:Net"\n[params]\nwidth = 3', PluginError, "width.*\n.*these arguments: .*gain"),
        ("api = ", SpecError, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, text: str, error: type[Exception], message: str) -> None:
    (folder / "model.toml").write_text(text)
    with pytest.raises(error, match=message):
        load_model(str(folder))


def test_folders_without_a_model(folder: Path) -> None:
    (folder / "model.toml").unlink()
    with pytest.raises(UsageError, match=r"no model\.toml"):
        load_model(str(folder))
    with pytest.raises(UsageError, match="There is no '"):
        load_model(str(folder / "nothing"))


def test_an_onnx_file_needs_no_python(lab: Lab, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    write_onnx(tmp_path / "model.onnx", (1, 1, 8, 16), 2)
    (tmp_path / "model.toml").write_text(
        'api = 1\nobject = "wbench.adapters:OnnxPredictor"\nweights = "model.onnx"\n'
        '[params]\nkinds = ["classify"]\nshape = [1, 1, 8, 16]\n[info]\nname = "me/onnx"'
    )
    report = evaluate([str(tmp_path)], [lab.toml("los"), lab.toml("time")], size="tiny", out=tmp_path / "results")
    assert [cell.status for cell in report.cells] == ["done", "not applicable"]
    assert report.results[0].cost.flops_per_sample is None
