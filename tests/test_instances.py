"""Every task instance from its file to its scores, on stand-ins and on real tiny data; suites, and what they freeze."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.helpers_data import cli
from tests.helpers_instances import (
    INSTANCES,
    audited_and_scored,
    decode_here,
    empty_slices_are_errors,
    models_of,
    on,
    score_on_tiny,
)
from tests.helpers_standin import StandIn
from wbench.errors import SpecError, UnknownNameError
from wbench.run.plan import build_spec
from wbench.task.base import Task, family_class
from wbench.task.spec import Suite, load_spec, load_suite

SUITES = ("2026.1", "demo")
#: Stand-ins of their datasets are scored everywhere; on real ``tiny`` data those whose simulator is here: of these two
#: generators below, ray-traced ones in test_instances_rt.py, QuaDRiGa's and COST 2100's in test_instances_octave.py.
SIMULATED = on("sionna-38901", "slots")
OCTAVE = on("quadriga", "cost2100")
RAY_TRACED = on("sionna-rt")


@cache
def stand_in(recipe: str) -> StandIn:
    return StandIn(recipe)


def stood_in(name: str) -> Task:
    spec = load_spec(name)
    return family_class(spec)(spec, {recipe: stand_in(recipe) for recipe in spec.recipes})  # type: ignore[misc]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for the real ``tiny`` datasets of Sionna's 38.901 recipes."""
    pytest.importorskip("torch")
    pytest.importorskip("sionna.phy")
    return tmp_path_factory.mktemp("tiny")


@pytest.mark.parametrize("name", INSTANCES)
def test_instance_is_audited_and_scored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decode_here(monkeypatch)
    task = stood_in(name)
    values, answer = audited_and_scored(task)
    assert set(values) - set(task.spec.trivial) or task.spec.family.startswith("beam-")
    empty_slices_are_errors(task, answer, monkeypatch)


@pytest.mark.parametrize("name", SIMULATED)
def test_instance_on_real_tiny_data(data: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decode_here(monkeypatch)
    values = score_on_tiny(name, data)
    assert set(load_spec(name).trivial) <= set(values)
    if "wbench/zeros-codec" in values:
        assert values["wbench/klt"] < 0


def test_no_instance_is_left_to_stand_ins_alone() -> None:
    assert sorted(SIMULATED + OCTAVE + RAY_TRACED) == sorted(INSTANCES)
    for name in INSTANCES:
        trivial = load_spec(name).trivial
        assert set(trivial) < set(models_of(name)), f"leaderboard/tiny.toml: {name} needs {trivial} and another model"


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
