"""What an author gets to read whose model is wrong: what, where, why and the next step, never a traceback."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.helpers_lab import Lab
from tests.helpers_networks import write_onnx
from wbench.cli.main import main
from wbench.errors import ModelError, PluginError, UnknownNameError, WBenchError
from wbench.model import load_model, module_device
from wbench.run.evaluate import evaluate
from wbench.run.guard import blaming
from wbench.run.plan import load_task
from wbench.testing import ModelSuite
from wbench.weights import read_weights, save_weights

MODELS = """
import numpy as np
import wbench
from wbench.adapters import ModuleEmbedder
from torch import nn

class Base(wbench.Predictor):
    info = wbench.ModelInfo("me/x", licence="MIT", summary="for a test")
    def predict(self, batch): return np.zeros((len(batch), 2))
class Five(Base):
    def predict(self, batch): return np.zeros((len(batch), 5))
class Stops(Base):
    def predict(self, batch): return next(iter([]))
class Dies(Base):
    def __init__(self): 1 / 0
class Wants(Base):
    def __init__(self, width): pass
class Flat(ModuleEmbedder):
    info = wbench.ModelInfo("me/flat", licence="MIT", summary="no weights")
    def build(self): return nn.Flatten()
class Ue(wbench.EncoderPart):
    def encode(self, batch): return []
    def payload_format(self, spec): return None
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODELS)
    return tmp_path


def refused(reference: str) -> WBenchError:
    with pytest.raises(WBenchError) as caught:
        load_model(reference)
    assert caught.value.next_step, str(caught.value)
    return caught.value


def folder(at: Path, text: str) -> str:
    at.mkdir()
    (at / "model.toml").write_text(text)
    return f"./{at.name}"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("./mine.py:Fiv", "./mine.py:Five"),
        ("./mien.py:Five", "correct the path"),
        ("./nothing", "correct the path"),
        ("mine:Five", "./mine.py:Five"),
        ("nothing_of_that_name:Five", "./file.py:Five"),
        ("./mine.py:Dies", "WBENCH_TRACEBACK=1"),
        ("./mine.py:Wants", "takes these arguments: width"),
        ("./mine.py:Ue", "--encoder"),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_could_lead(here: Path, reference: str, says: str) -> None:
    assert says in str(refused(reference).next_step)


def test_files_that_cannot_be_imported(here: Path) -> None:
    (here / "lacks.py").write_text("x = 1\nimport nothing_of_that_name\n")
    (here / "dies.py").write_text("x = 1\ny = 1 / 0\n")
    lacking, dying = refused("./lacks.py:X"), refused("./dies.py:X")
    assert "line 2: ModuleNotFoundError" in str(lacking.why)
    assert "pip install nothing_of_that_name" in str(lacking.next_step)
    assert "line 2: ZeroDivisionError" in str(dying.why)


def test_model_tables(here: Path) -> None:
    for name, text in {"empty": "", "broken": "api = = 1", "typo": 'api = 1\nmodel = "wbench/knn"\n[inf]\n'}.items():
        assert "api = 1" in str(refused(folder(here / name, text)).next_step)
    no_class = refused(folder(here / "file", 'api = 1\nobject = "./mine.py"\n'))
    assert (no_class.where, no_class.next_step) == ("./file", "./mine.py:MyModel")


def test_an_unknown_name_does_not_list_hundreds() -> None:
    error = UnknownNameError("task", "?", [f"name-{i}" for i in range(50)])
    assert str(error.why).endswith("and 30 more")


def test_stop_iteration_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="raised an exception in predict"), blaming("me/x", "predict"):
        raise StopIteration


def test_cells_of_their_own_fail_and_no_others(here: Path, lab: Lab) -> None:
    models = ["./mine.py:Five", "./mine.py:Stops", "./mine.py:Base", "./mine.py:Flat"]
    report = evaluate(models, [lab.toml("los")], size="tiny", out=here / "results")
    assert [cell.status for cell in report.cells] == ["failed", "failed", "done", "done"]
    assert "scores, float [n, 2]" in report.cells[0].reason
    assert "StopIteration" in report.cells[1].reason


def test_the_suite_sees_wrong_shapes_and_says_what_does_not_apply(here: Path, lab: Lab) -> None:
    suite = ModelSuite()
    suite.reference, suite.task = "./mine.py:Five", load_task(lab.toml("los"), size="tiny")  # type: ignore[misc]
    found = {result.name: result for result in suite.run()}
    assert str(found["answer_is_finite"].failure).startswith("The model's answer has a wrong shape. (12, 5)")
    assert found["codec_halves_are_separate"].state == "n/a"
    assert found["deterministic"].state == "ok"


def test_the_traceback_is_there_for_who_asks(
    here: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused("./mine.py:Dies")
    assert not caplog.records
    monkeypatch.setenv("WBENCH_TRACEBACK", "1")
    refused("./mine.py:Dies")
    assert "ZeroDivisionError" in caplog.text
    assert 'mine.py", line' in caplog.text


@pytest.mark.parametrize(("given", "step"), [("--plot x.bmp", "--plot x.png"), ("--out x.csv", "--out x.npz")])
def test_a_file_of_another_type_is_refused_before_anything_is_embedded(
    given: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["embed", "--model", "?", "--task", "?", *given.split()])
    assert left.value.code == 2
    assert f"next: {step}" in capsys.readouterr().err


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("true",)


def test_nobody_is_told_to_open_a_bomb(tmp_path: Path) -> None:
    for protocol in (2, 4):
        (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Bomb(), protocol=protocol))
        torch.save({"w": Bomb()}, tmp_path / "archive.pt", pickle_protocol=protocol)
        for name in ("bare.pkl", "archive.pt"):
            with pytest.raises(ModelError) as caught:
                read_weights(tmp_path / name)
            assert str(caught.value.next_step).startswith("do not open it at all"), (name, protocol)
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(ModelError) as caught:
        read_weights(tmp_path / "module.pt")
    assert "convert it once" in str(caught.value.next_step)


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    state = {"b": torch.ones(3), "a": torch.zeros(2, 2)}
    metadata = {f"key {i}": f'value "{i}" ü' for i in range(8)}
    for turn in range(6):
        save_weights(tmp_path / f"{turn}.safetensors", state, metadata)
    assert len({(tmp_path / f"{turn}.safetensors").read_bytes() for turn in range(6)}) == 1
    assert torch.equal(read_weights(tmp_path / "0.safetensors")["b"], state["b"])


def test_prefixes_of_names_are_replaced(here: Path) -> None:
    (here / "net.py").write_text(
        "from torch import nn\nimport wbench\nfrom wbench.adapters import ModuleEmbedder\n"
        "class Net(ModuleEmbedder):\n    def build(self): return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))\n"
    )
    weight = torch.arange(8.0).reshape(2, 4)
    save_weights(here / "net.safetensors", {"module.1.weight": weight, "module.1.bias": torch.ones(2)})
    text = 'api = 1\nobject = "../net.py:Net"\nweights = "../net.safetensors"\n'
    with pytest.raises(ModelError) as caught:
        load_model(folder(here / "without", text)).setup(*_none())
    assert "[params] of model.toml" in str(caught.value.next_step)
    assert 'prefixes = {"module." = ""}' in str(caught.value.next_step)
    model = load_model(folder(here / "with", text + '[params]\nprefixes = {"module." = ""}\n'))
    model.setup(*_none())
    assert torch.equal(model.module[1].weight, weight)  # type: ignore[attr-defined]


def _none() -> tuple[SimpleNamespace, SimpleNamespace]:
    return SimpleNamespace(), SimpleNamespace()


def test_a_network_without_weights_is_on_the_cpu() -> None:
    assert module_device(nn.Flatten()).type == "cpu"
    assert module_device(nn.BatchNorm1d(2, affine=False).to("meta")).type == "meta"


def test_a_missing_class_of_an_installed_module_is_one_error() -> None:
    with pytest.raises(PluginError, match="There is no 'Nothing'"):
        load_model("wbench.adapters:Nothing")


def test_an_onnx_file_for_other_shapes_says_which(here: Path, lab: Lab) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    write_onnx(here / "model.onnx", (1, 1, 4, 4), 2)
    text = 'api = 1\nobject = "wbench.adapters:OnnxPredictor"\nweights = "../model.onnx"\n'
    model = folder(here / "exported", text + '[params]\nkinds = ["classify"]\n')
    report = evaluate([model], [lab.toml("los")], size="tiny", out=here / "results")
    assert "it takes x ['n', 2, 1, 1, 4, 4]; it was given x [" in report.cells[0].reason
    assert "shape = […] under [params]" in report.cells[0].reason
