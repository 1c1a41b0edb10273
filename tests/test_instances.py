"""Every task instance from its file to its scores, on stand-ins and on real tiny data; suites, and what they freeze."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_data import cli
from tests.helpers_standin import StandIn
from wbench.dataset.spec import load_recipe
from wbench.errors import SpecError, UnknownNameError
from wbench.registry import registry
from wbench.run import codec as codecs
from wbench.run.cell import Cell, answer_cell, prepare
from wbench.run.generate import generate
from wbench.run.plan import build_spec, load_task
from wbench.run.score import score_predictions
from wbench.task.audit import audit
from wbench.task.base import Task, family_class
from wbench.task.spec import Suite, load_spec, load_suite

INSTANCES = registry().names("task")
SUITES = ("2026.1", "demo")
#: Generators that are there everywhere and take seconds. Of the others stand-ins are scored here; ray
#: tracing, QuaDRiGa and COST 2100 have tests of their own.
QUICK = ("sionna-38901", "slots")
SIMULATED = [n for n in INSTANCES if all(load_recipe(r).generator in QUICK for r in load_spec(n).recipes)]
#: Classical methods of each family beside the instance's own trivial ones; one of them at least serves the instance.
CLASSICAL = {
    "los-nlos": ("wbench/logistic",),
    "beam-crossband": ("wbench/1-nn", "wbench/position-knn"),
    "beam-subarray": ("wbench/zero-padded-fft", "wbench/noisy-sweep"),
    "beam-rsrp": ("wbench/rsrp-ridge",),
    "csi-feedback-ratio": ("wbench/klt",),
    "csi-feedback-bits": ("wbench/type1",),
    "channel-prediction": ("wbench/linear",),
    "channel-estimation": ("wbench/ls-linear",),
    "positioning": ("wbench/toa-aoa", "wbench/position-fingerprints"),
    "path-loss": ("wbench/band-affine",),
    "feature-forecasting": ("wbench/feature-ar",),
}


@cache
def stand_in(recipe: str) -> StandIn:
    return StandIn(recipe)


def stood_in(name: str) -> Task:
    spec = load_spec(name)
    return family_class(spec)(spec, {recipe: stand_in(recipe) for recipe in spec.recipes})  # type: ignore[misc]


@pytest.fixture
def decoder_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders run in this process: that they do not need it is tested elsewhere, and a process costs a second."""
    monkeypatch.setattr(codecs, "open_room", lambda decoder, _: decoder)
    monkeypatch.setattr(codecs, "_decode", lambda _, decode, chunks: np.concatenate([decode(part) for part in chunks]))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real ``tiny`` datasets of Sionna's 38.901 recipes."""
    pytest.importorskip("torch")
    pytest.importorskip("sionna.phy")
    folder = tmp_path_factory.mktemp("tiny")
    for recipe in sorted({recipe for name in SIMULATED for recipe in load_spec(name).recipes}):
        assert not generate(recipe, size="tiny", out=folder / f"{recipe}-tiny.zarr").failures
    return folder


def audited_and_scored(task: Task) -> dict[str, float]:
    """Primary scores of the task's trivial and classical models that serve it, after the audit."""
    found = audit(task)
    assert found.violations == ()
    assert min(found.samples.values()) > 0
    values = {}
    for model in (*task.spec.trivial, *CLASSICAL[task.spec.family]):
        cell = Cell(model)
        built, reason = prepare(cell, task)
        if reason is not None:
            # A trivial model refuses nothing but too few samples for many beams.
            assert model in CLASSICAL[task.spec.family] or "training samples" in reason, f"{model}: {reason}"
            continue
        answer = answer_cell(built, cell, task)
        scores, _ = score_predictions(task, answer.ids, answer.predictions, answer.calibration)
        assert all(np.isfinite(score.value) for score in scores)
        (values[model],) = [s.value for s in scores if s.slice == "ranked" and s.metric == task.spec.primary]
    return values


@pytest.mark.usefixtures("decoder_here")
@pytest.mark.parametrize("name", INSTANCES)
def test_instance_is_audited_and_scored(name: str) -> None:
    task = stood_in(name)
    values = audited_and_scored(task)
    assert set(values) & set(CLASSICAL[task.spec.family]) or task.spec.family.startswith("beam-")


@pytest.mark.usefixtures("decoder_here")
@pytest.mark.parametrize("name", SIMULATED)
def test_instance_on_real_tiny_data(simulated: Path, name: str) -> None:
    task = load_task(name, size="tiny", data=simulated)
    values = audited_and_scored(task)
    assert set(task.spec.trivial) <= set(values)
    if "wbench/zeros" in values:
        assert values["wbench/zeros"] == pytest.approx(0, abs=1e-9)
    if "wbench/zeros-codec" in values:
        assert values["wbench/zeros-codec"] == pytest.approx(0, abs=1e-9)
        assert values["wbench/klt"] < 0


def test_every_instance_is_listed_with_what_identifies_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cli(capsys, "list", "tasks", "--format", "csv")
    assert code == 0
    for name in INSTANCES:
        spec = load_spec(name)
        (line,) = [line for line in out.splitlines() if line.startswith(f"{name},")]
        for part in (*spec.recipes, spec.split.rule, spec.primary, spec.digest[7:15]):
            assert part in line


@pytest.mark.parametrize("name", SUITES)
def test_what_a_frozen_suite_holds_never_changes(name: str) -> None:
    """If this fails a task or recipe changed in a way that can move a number: give it a new version, in a new suite."""
    suite = load_suite(name)
    assert suite.status == "frozen"
    assert suite.changed() == []
    recipes = {recipe for task in suite.tasks for recipe in load_spec(task).recipes}
    assert {recipe: build_spec(recipe, "standard", ready=False)[0].digest for recipe in recipes} == suite.datasets


def test_a_changed_task_is_found_and_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = load_suite("demo")
    digests = {**suite.digests, "csi-feedback-bits": "sha256:" + "0" * 64}
    changed = suite.model_copy(update={"digests": digests})
    assert changed.changed() == ["csi-feedback-bits"]
    monkeypatch.setattr("wbench.task.spec.load_suite", lambda _: changed)
    code, _, err = cli(capsys, "evaluate", "--suite", "demo", "--model", "wbench/constant")
    assert code == 2
    assert "The tasks of a frozen suite never change." in err
    assert "csi-feedback-bits" in err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digests": {}}, "a frozen suite has the digest of each of its tasks: a, b"),
        ({"digests": {"a": "x", "c": "y"}}, "b, c"),
        ({"tasks": ("a", "a")}, "stands there twice"),
    ],
)
def test_suites_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    table = {"name": "s", "status": "frozen", "summary": "", "tasks": ("a", "b"), "digests": {"a": "x", "b": "y"}}
    with pytest.raises(ValueError, match=message):
        Suite.model_validate(table | changes)


def test_every_stochastic_family_is_ranked_as_the_protocol_says() -> None:
    """Ranked SNRs, budgets and split rules of `protocol.md`, by family."""
    snr = {
        "los-nlos": (0,),
        "beam-crossband": (0,),
        "beam-rsrp": (0,),
        "channel-prediction": (20,),
        "channel-estimation": (10,),
    }
    for name in load_suite("2026.1").tasks:
        spec = load_spec(name)
        assert spec.split.rule != "S0"
        assert spec.primary in spec.metrics
        if spec.family in snr:
            assert spec.noise is not None
            assert spec.noise.snr_db == snr[spec.family]
        if spec.family.startswith(("csi-", "feature-")):
            assert spec.noise is None
        if spec.family == "los-nlos":
            assert max(spec.budgets) <= 10
    assert load_spec("beam-prediction-b").ranked_slice == {"snr_db": (0, 0)}
    for axis in ("time", "frequency"):
        for held in ("d17", "d18"):
            views = load_spec(f"channel-prediction-{axis}-qd-{held}").views
            assert (views["test"].recipe, views["test"].side) == (f"qd-{held}", "all")
            assert views["train"].recipe != f"qd-{held}"


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        load_suite("2099")
    with pytest.raises(SpecError):
        load_spec(tmp_path / "no.toml")
