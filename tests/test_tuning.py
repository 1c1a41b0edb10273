"""Choices on validation: what is recorded, what is refused, and that results and ``wbench train`` show them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from tests.helpers_models import FakePart, complex_normal, make_batch, make_meta, make_spec, ready
from wbench.cli.main import main
from wbench.errors import ModelError, OutputConflictError, UsageError
from wbench.heads import LOGISTIC_C, LinearHead
from wbench.metric.catalogue import get_metric
from wbench.result import read_result
from wbench.run.evaluate import evaluate
from wbench.run.train import TuningRecord, train
from wbench.task.spec import Limit
from wbench.tuning import MOST, Search, Trial, choose, chosen_values, nmse_db
from wbench_baselines.codecs.lasso import WEIGHTS, Lasso

# Tries its configurations in a wrong order, and counts how many it has scored.
TRIES = """
    from wbench.tuning import Search, choose

    class Mine(wbench.Predictor):
        info = wbench.ModelInfo("test/tries", revision="1", trains=True)

        def fit(self, train, val, seed):
            search = Search(self.info.name, "distance from 3", samples=7)
            self.searches = (search,)
            self.order = choose(search, ("order", "kind"), [(k, "even"[k % 2:]) for k in range({count})], self.score)

        def score(self, one):
            return abs(one[0] - 3.0)

        def predict(self, batch):
            return np.zeros((len(batch), 2))
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, shown.out, shown.err


def test_the_first_of_the_best_is_chosen() -> None:
    loss = {1: 2.0, 2: 0.5, 3: 0.5, 4: math.nan}
    search = Search("m", "loss")
    assert choose(search, ("order",), loss, loss.__getitem__) == 2
    assert search.chosen == {"order": 2}
    assert [trial.values["order"] for trial in search.trials] == [1, 2, 3, 4]
    larger = Search("m", "score", larger=True)
    assert choose(larger, ("order", "ridge"), [(1, 0.1), (2, 0.2), (3, 0.3)], lambda one: -abs(one[0] - 2.0)) == (
        2,
        0.2,
    )
    assert larger.trials[larger.best] == Trial({"order": 2, "ridge": 0.2}, 0.0)


def test_no_number_is_the_worst_score_and_something_is_always_chosen() -> None:
    for scores, best in (((math.nan, 1e300), 1), ((math.inf, math.nan), 0), ((math.nan, math.nan), 0)):
        search = Search("m", "loss")
        assert [search.add(score, {"k": k}) for k, score in enumerate(scores)] == [True, best == 1]
        assert search.best == best


def test_one_configuration_too_many_is_refused_before_anything_is_scored() -> None:
    scored = []
    with pytest.raises(ModelError, match="1 to 32") as caught:
        choose(Search("me/greedy", "loss"), ("k",), range(MOST + 1), lambda k: scored.append(k) or 0.0)
    assert not scored
    assert caught.value.where == "me/greedy"
    assert "33" in str(caught.value)
    search = Search("m", "loss")
    for k in range(MOST):
        search.add(0.0, {"k": k})
    with pytest.raises(ModelError, match="1 to 32"):
        search.add(0.0, {"k": MOST})
    with pytest.raises(ModelError, match="there is none"):
        choose(Search("m", "loss"), ("k",), [], float)
    with pytest.raises(ModelError, match="none was tried"):
        _ = Search("m", "loss").best


def test_values_are_plain_and_names_stay_apart() -> None:
    first, second = Search("m", "loss"), Search("m", "loss")
    first.add(0.0, {"order": np.int64(3), "radius": np.inf, "hedge": np.bool_(True), "kind": np.str_("mean")})
    second.add(0.0, {"order": 4})
    assert first.chosen == {"order": 3, "radius": "inf", "hedge": True, "kind": "mean"}
    assert [type(value) for value in first.chosen.values()] == [int, str, bool, str]
    assert chosen_values((first, second)) == {**first.chosen, "order #2": 4}
    assert chosen_values(()) == {}


def test_nmse_is_that_of_the_metric() -> None:
    rng = np.random.default_rng(0)
    clean, wrong = complex_normal(rng, 9, 4), complex_normal(rng, 9, 4)
    metric = get_metric("nmse_ros_db")
    expected = metric.reduce(metric.per_sample(wrong, {"H": clean}, {}), np.ones(9))
    error, power = (float((np.abs(part) ** 2).sum()) for part in (wrong - clean, clean))
    assert nmse_db(error, power) == pytest.approx(expected)
    assert nmse_db(0.0, 1.0) == -math.inf
    assert nmse_db(1.0, 0.0) == math.inf


def test_train_prints_the_grid_and_writes_it(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, out = write_model(tmp_path, TRIES.format(count=6)), tmp_path / "out"
    ask = ("train", reference, "--task", lab.toml("los"), "--size", "tiny", "--budget", "50", "--draw", "1")
    code, shown, err = run(capsys, *ask, "--out", out)
    assert code == 0
    assert "distance from 3 on 7 validation samples, smaller is better" in shown
    assert [line.split()[:3] for line in shown.splitlines() if "yes" in line] == [["3", "ven", "0.0"]]
    assert "chosen: order = 3, kind = ven" in err
    text = (out / "tuning.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text.replace("\\\\", "\\")
    record = TuningRecord.model_validate_json(text)
    assert (record.budget_percent, record.draw, record.task.size) == (50, 1, "tiny")
    assert 0 < record.n_train < len(lab.task("los").ids("train"))
    (search,) = record.searches
    assert [trial.values["order"] for trial in search.trials] == list(range(6))
    assert (search.chosen, search.samples, search.higher_is_better) == (3, 7, False)
    assert record.datasets[0].content_digest.startswith("sha256:")
    assert record.model.chosen == {"order": 3, "kind": "ven"}
    code, shown, _ = run(capsys, *ask, "--format", "json")
    assert code == 0
    assert json.loads(shown)[3] == {"order": 3, "kind": "ven", "distance from 3": 0.0, "chosen": "yes"}


def test_train_refuses_more_than_the_protocol_allows(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference, out = write_model(tmp_path, TRIES.format(count=33)), tmp_path / "out"
    code, shown, err = run(capsys, "train", reference, "--task", lab.toml("los"), "--size", "tiny", "--out", out)
    assert code == 1
    assert not shown
    assert "A method may try 1 to 32 configurations on validation." in err
    assert "33" in err
    assert "test/tries" in err
    assert not out.exists()


def test_train_says_so_when_there_is_nothing_to_choose(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("--task", lab.toml("los"), "--size", "tiny", "--format", "json")
    for model, why in (("wbench/knn", "it chooses nothing on validation"), ("wbench/constant", "it does not train")):
        out = tmp_path / Path(model).name
        code, shown, err = run(capsys, "train", model, *ask, "--out", out)
        assert code == 0
        assert json.loads(shown) == []
        assert f"{model} compares no configurations: {why}" in err
        record = TuningRecord.model_validate_json((out / "tuning.json").read_text(encoding="utf-8"))
        assert record.searches == ()
        assert record.model.chosen == {}


def test_a_folder_with_another_training_or_model_is_refused_and_the_same_one_made_again(
    lab: Lab, tmp_path: Path
) -> None:
    out, theirs = tmp_path / "out", tmp_path / "theirs"
    for _ in range(2):
        train("wbench/knn", lab.toml("los"), size="tiny", budget=50, out=out)
    for options in ({"budget": 20}, {"budget": 50, "seed": 1}):
        with pytest.raises(OutputConflictError, match="another training"):
            train("wbench/knn", lab.toml("los"), size="tiny", out=out, **options)
    with pytest.raises(OutputConflictError, match="another training"):
        train("wbench/constant", lab.toml("los"), size="tiny", budget=50, out=out)
    theirs.mkdir()
    (theirs / "model.toml").write_text("api = 1\n", encoding="utf-8")
    with pytest.raises(OutputConflictError, match="not from this training"):
        train("wbench/knn", lab.toml("los"), size="tiny", out=theirs)
    assert [path.name for path in theirs.iterdir()] == ["model.toml"]


def test_train_says_what_cannot_be_asked(lab: Lab, tmp_path: Path) -> None:
    for options in ({"budget": 0.0}, {"budget": 101.0}, {"draw": -1}, {"seed": -1}):
        with pytest.raises(UsageError):
            train("wbench/knn", lab.toml("los"), size="tiny", **options)
    with pytest.raises(UsageError, match="does not serve"):
        train("wbench/lasso", lab.toml("los"), size="tiny")


def test_results_hold_what_was_chosen_and_old_ones_are_read(lab: Lab, tmp_path: Path) -> None:
    reference = write_model(tmp_path, TRIES.format(count=6))
    report = evaluate([reference, "wbench/knn"], [lab.toml("los")], size="tiny", out=tmp_path / "results")
    chosen, nothing = report.cells
    assert chosen.path is not None
    assert nothing.result is not None
    assert read_result(chosen.path).model.chosen == {"order": 3, "kind": "ven"}
    assert nothing.result.model.chosen == {}
    old = json.loads(chosen.path.read_text(encoding="utf-8"))
    del old["model"]["chosen"]
    chosen.path.write_text(json.dumps(old), encoding="utf-8")
    assert read_result(chosen.path).model.chosen == {}


def test_a_fit_is_that_of_the_evaluation(lab: Lab, tmp_path: Path) -> None:
    """Logistic regression: same grid, same choice; and validation is scored as the harness scores."""
    training = train("wbench/logistic", lab.toml("los"), size="tiny", budget=20)
    ask = {"size": "tiny", "budgets": [20], "draws": 1, "out": tmp_path / "results"}
    result = evaluate(["wbench/logistic"], [lab.toml("los")], **ask).cells[0].result
    assert result is not None
    assert (result.draw, result.model.chosen) == (0, training.record.model.chosen)
    assert result.n_train == training.record.n_train


def test_the_linear_head_records_its_regulariser() -> None:
    rng = np.random.default_rng(3)
    x, held = rng.standard_normal((60, 3)), rng.standard_normal((40, 3))
    label, answer = ((part[:, 0] + 0.8 * rng.standard_normal(len(part)) > 0).astype(np.int64) for part in (x, held))
    head = LinearHead()
    head.fit((x, {"label": label}), (held, {"label": answer}), 2, 0)
    (search,) = head.searches
    assert [trial.values["C"] for trial in search.trials] == list(LOGISTIC_C)
    log_probability = head.predict(held)
    by_hand = -float(np.mean(log_probability[np.arange(len(held)), answer]))
    assert search.trials[search.best].score == pytest.approx(by_hand, rel=1e-9)
    assert search.trials[search.best].score == min(trial.score for trial in search.trials)


def test_a_codec_records_the_nmse_of_every_candidate() -> None:
    rng = np.random.default_rng(4)
    channel = (complex_normal(rng, 24, 6, 6) * (rng.random((24, 6, 6)) < 0.2)).astype(np.complex64)
    part = FakePart(make_batch(channel, make_meta((6, 6), dims=("delay", "angle"))), {"H": channel})
    spec = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=24))
    model = ready(Lasso(), spec, part)
    (search,) = model.searches
    metric, payloads = get_metric("nmse_ros_db"), model.encoder()(part.batch)
    found = []
    for weight in WEIGHTS:
        table = metric.per_sample(model.at(weight)(payloads), {"H": channel}, {})
        found.append(metric.reduce(table, np.ones(len(table))))
    assert [trial.values for trial in search.trials] == [{"lambda/lambda_max": weight} for weight in WEIGHTS]
    np.testing.assert_allclose([trial.score for trial in search.trials], found, atol=1e-4)
    assert model.weight == WEIGHTS[int(np.argmin(found))]
