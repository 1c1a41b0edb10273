"""The main job as a user runs it: ``wbench demo`` in an empty folder, then the README's own model on its data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wbench.registry import registry
from wbench.result import read_results
from wbench.task.spec import load_spec, load_suite

pytestmark = pytest.mark.slow

README = Path(__file__).parent.parent / "README.md"
TASKS = load_suite("demo").tasks
#: Never off the demo's board, whatever its manifest says.
CORE = "constant majority 1-nn knn logistic subarray-sweep zero-padded-fft lasso klt type1 zeros hold wiener vit-random"
MODELS = {name for name, entry in registry().entries["model"].items() if entry.extra.get("demo")}


def wbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("wbench")
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=900)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = wbench(folder, "demo", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "file://" in done.stdout
    return folder


def test_every_model_is_on_the_board_with_real_numbers(demo: Path) -> None:
    results = read_results(demo / "wbench-demo" / "results")
    assert {result.task.name for result in results} == set(TASKS)
    assert {result.model.name for result in results} == MODELS
    assert {f"wbench/{name}" for name in CORE.split()} <= MODELS
    for result in results:
        assert result.primary().interval is not None, result.model.name
        assert result.task.size == "tiny"
    site = demo / "wbench-demo" / "site"
    pages = {path.name for path in site.rglob("*.html")}
    assert {f"{task}.tiny.html" for task in TASKS} <= pages
    assert {name.replace("/", "__") + ".html" for name in MODELS} <= pages
    text = (site / "index.html").read_text(encoding="utf-8")
    assert all(task in text for task in TASKS)


def test_published_anchors_hold(demo: Path) -> None:
    """Protocol: zeros 0 dB, UMa (8,2) Type I .68 at 34 bits (here ± .08), methods beat the trivial ones."""
    value = {(r.task.name, r.model.name): r for r in read_results(demo / "wbench-demo" / "results")}
    assert value["channel-prediction-time", "wbench/zeros"].primary().value == pytest.approx(0, abs=1e-12)
    assert value["csi-feedback-ratio", "wbench/zeros-codec"].primary().value == pytest.approx(0, abs=1e-12)
    type1 = value["csi-feedback-bits", "wbench/type1"]
    assert type1.primary().value == pytest.approx(0.68, abs=0.08)
    assert type1.cost.payload_bits_max == 34
    for task, good, trivial in (
        ("channel-prediction-time", "wiener", "hold"),
        ("csi-feedback-ratio", "klt", "zeros-codec"),
        ("csi-feedback-ratio", "lasso", "zeros-codec"),
        ("csi-feedback-bits", "type1", "fixed-precoder"),
        ("los-nlos-umi", "logistic", "majority"),
        ("beam-prediction-b", "zero-padded-fft", "majority"),
    ):
        better, worse = (value[task, f"wbench/{name}"].primary() for name in (good, trivial))
        sign = 1 if better.higher_is_better else -1
        assert sign * better.value > sign * worse.value, (task, good)


def test_running_it_again_keeps_everything(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (demo / "wbench-demo" / "results").rglob("result.json")}
    done = wbench(demo, "demo")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_one_and_two_workers_give_the_same_bits(demo: Path) -> None:
    """The demo ran with two workers; the recipe that every class of array is in is made again with one."""
    recipe = "mob-uma"
    done = wbench(demo, "generate", recipe, "--size", "tiny", "--workers", "1", "--out", "alone.zarr")
    assert done.returncode == 0, done.stderr
    alone = re.search(r"content (sha256:\w+)", done.stdout)
    there = wbench(demo, "verify", f"wbench-demo/data/{recipe}-tiny.zarr")
    assert alone is not None
    assert alone.group(1) in there.stdout


def test_the_model_in_the_readme_runs(demo: Path) -> None:
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert code is not None
    assert len(code.group(1).splitlines()) < 30
    (demo / "my_model.py").write_text(code.group(1), encoding="utf-8")
    common = ("--model", "./my_model.py:MyModel", "--size", "tiny", "--data", "wbench-demo/data", "--format", "json")
    done = wbench(demo, "evaluate", *common, "--task", "los-nlos-umi", "--task", "csi-feedback-bits")
    assert done.returncode == 0, done.stderr
    assert "n/a" in done.stderr  # an embedder cannot compress, and says so
    row = json.loads(done.stdout)[0]
    assert row["model"] == "me/angular-delay"
    assert float(row["f1_macro"].split()[0]) > 0.6
    checked = wbench(demo, "check", "./my_model.py:MyModel", "--data", "wbench-demo/data", "--task", "los-nlos-umi")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("task", TASKS)
def test_tasks_conform(demo: Path, task: str) -> None:
    done = wbench(demo, "check", task, "--data", "wbench-demo/data")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_trivial_baseline_is_there(demo: Path) -> None:
    """The board refuses to guess: each task names trivial models, and all of them have results."""
    there = {(r.task.name, r.model.name) for r in read_results(demo / "wbench-demo" / "results")}
    assert {(task, model) for task in TASKS for model in load_spec(task).trivial} <= there
