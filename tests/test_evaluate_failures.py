"""Models that fail: the cell says why and where, the other cells are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers_files import line_of, run_one, write_model
from tests.helpers_lab import Lab
from wbench.run.evaluate import evaluate

PREDICT = """
    class Mine(wbench.Predictor):
        info = wbench.ModelInfo("test/mine", revision="1")

        def predict(self, batch):
            scores = np.zeros((len(batch), 2))
            {line}
            return scores
"""


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
        ("scores = 1 / 0", "ZeroDivisionError: division by zero"),
        ("np.linalg.cholesky(-np.eye(3))", "LinAlgError: Matrix is not positive definite"),
        ("batch.x['H'] *= 2", "ValueError: output array is read-only"),
        ("batch.ids[:] = 0", "ValueError: assignment destination is read-only"),
        ("raise MemoryError('too much')", "MemoryError: too much"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("scores = [[0.0], [1.0, 2.0]] * len(batch)", "inhomogeneous"),
    ],
)
def test_an_exception_names_the_line_of_the_users_file(lab: Lab, tmp_path: Path, line: str, cause: str) -> None:
    reference = write_model(tmp_path, PREDICT.format(line=line))
    cell = run_one(reference, lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert cause in cell.reason
    if "inhomogeneous" not in cause:  # raised by the harness, which makes an array of the answer
        where = f"line {line_of(reference, line)} of {Path(reference.rpartition(':')[0]).name}: "
        assert where in cell.reason
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("scores[3] = np.nan", "not finite"),
        ("scores[:] = 1e300", "not finite"),  # infinite as float32
        ("scores = scores[:, 0]", "wrong shape"),
        ("scores = np.zeros((len(batch), 3))", r"\(80, 3\) instead of \(80, 2\)"),
        ("scores = scores[1:]", "wrong shape"),
        ("scores = None", "wrong shape"),
        ("scores = scores.astype(complex)", "must be real numbers"),
        ("scores = np.full((len(batch), 2), 'a')", "must be real numbers"),
        ("scores = scores.astype(object)", "must be real numbers"),
    ],
)
def test_answers_that_break_the_contract(lab: Lab, tmp_path: Path, line: str, cause: str) -> None:
    cell = run_one(write_model(tmp_path, PREDICT.format(line=line)), lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    with pytest.raises(ValueError, match=cause):
        raise ValueError(cell.reason)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        # Batch statistics (a normalisation in training mode), state, position, and dice.
        ("scores[:, 1] = np.abs(batch.x['H']).mean(axis=(1, 2, 3, 4)); scores -= scores.mean(axis=0)", "other samples"),
        ("scores[:, 1] = np.arange(len(batch))", "other samples"),
        ("self.n = getattr(self, 'n', 0) + 1; scores[:, 1] = self.n", "other samples"),
        ("scores[:, 1] = np.random.default_rng().normal(size=len(batch))", "other samples"),
    ],
)
def test_answers_must_not_hang_on_the_batch(lab: Lab, tmp_path: Path, line: str, cause: str) -> None:
    cell = run_one(write_model(tmp_path, PREDICT.format(line=line)), lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert cause in cell.reason


def test_dice_seeded_by_the_sample_are_fine(lab: Lab, tmp_path: Path) -> None:
    line = "scores[:, 1] = [np.random.default_rng(int(i)).normal() for i in batch.ids]"
    assert run_one(write_model(tmp_path, PREDICT.format(line=line)), lab.toml("los"), tmp_path).status == "done"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("class Mine(wbench.Predictor)\n    pass", "syntax error in line 3"),
        ("raise ValueError('at import')", "ValueError: at import"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("class Mine: pass", "is not a model"),
        ("class Mine(wbench.Predictor): pass", "missing predict"),
        ("class Other: pass", "There is no 'Mine'"),
        ("class Mine(wbench.Predictor):\n    predict = __init__ = lambda self, batch: batch", "cannot be constructed"),
        ("class Mine(wbench.Predictor):\n    info = {'name': 'x'}\n    predict = print", "must be a wbench.ModelInfo"),
        (
            "class Mine(wbench.Predictor):\n    info = wbench.ModelInfo('a/b')\n    predict = fit = print",
            "fit() would never be called",
        ),
    ],
)
def test_files_that_cannot_be_used(lab: Lab, tmp_path: Path, body: str, cause: str) -> None:
    reference = write_model(tmp_path, body)
    report = evaluate([reference, "wbench/constant"], [lab.toml("los")], size="tiny", out=tmp_path / "results")
    assert [cell.status for cell in report.cells] == ["failed", "done"]
    assert cause in report.cells[0].reason
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("method", "doing"),
    [
        ("def supports(self, spec): raise KeyError('x')", "supports"),
        ("def setup(self, spec, meta): raise KeyError('x')", "setup"),
        ("def fit(self, train, val, seed): raise KeyError('x')", "fit"),
        ("def count_parameters(self): raise KeyError('x')", "count_parameters"),
    ],
)
def test_every_method_is_guarded(lab: Lab, tmp_path: Path, method: str, doing: str) -> None:
    body = f"""
        class Mine(wbench.Predictor):
            {method}

            def predict(self, batch):
                return np.zeros((len(batch), 2))
    """
    reference = write_model(tmp_path, body)
    cell = run_one(reference, lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert f"in {doing}." in cell.reason
    assert f"line {line_of(reference, method)} of " in cell.reason


def test_supports_returns_a_reason(lab: Lab, tmp_path: Path) -> None:
    body = "class Mine(wbench.Predictor):\n    supports = lambda self, spec: True\n    predict = print"
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert "None or the reason" in cell.reason


def test_training_data_cannot_be_changed(lab: Lab, tmp_path: Path) -> None:
    body = """
        class Mine(wbench.Predictor):
            def fit(self, train, val, seed):
                batch, truth = train.load()
                truth["label"][:] = 0

            def predict(self, batch):
                return np.zeros((len(batch), 2))
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert "read-only" in cell.reason


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("return np.zeros((len(batch), 4))", "must return real numbers [n, token, d]"),
        ("return np.zeros((len(batch), 0, 4))", "must return real numbers [n, token, d]"),
        ("return np.zeros((len(batch), 1, 4)) * 1j", "must return real numbers [n, token, d]"),
        ("return np.full((len(batch), 1, 4), np.nan)", "NaN or infinity"),
        ("return [] + batch", "TypeError"),
    ],
)
def test_embedders_that_break_the_contract(lab: Lab, tmp_path: Path, line: str, cause: str) -> None:
    body = f"""
        class Mine(wbench.Embedder):
            def embed(self, batch):
                {line}
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert cause in cell.reason


def test_interrupt_passes_and_finished_cells_are_kept(lab: Lab, tmp_path: Path) -> None:
    reference = write_model(tmp_path, PREDICT.format(line="raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        evaluate(["wbench/constant", reference], [lab.toml("los")], size="tiny", out=tmp_path / "results")
    report = evaluate(["wbench/constant"], [lab.toml("los")], size="tiny", out=tmp_path / "results")
    assert report.cells[0].status == "kept"


def test_predictors_and_codecs_are_not_mixed_up(lab: Lab, tmp_path: Path) -> None:
    predictor = write_model(tmp_path, PREDICT.format(line="pass"))
    cell = run_one(predictor, lab.toml("ratio"), tmp_path)
    assert (cell.status, cell.reason) == ("not applicable", "compress tasks need a codec")
