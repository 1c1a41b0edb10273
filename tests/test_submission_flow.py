"""From a result of one's own model to an accepted submission, and what recomputing and auditing it find."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers_lab import Lab
from tests.helpers_submission import edit, result_file, seal
from wbench import registry
from wbench.digest import array_digest
from wbench.errors import OutputConflictError, ResultError, UsageError
from wbench.run.evaluate import evaluate
from wbench.run.plan import load_generator, load_task
from wbench.task.batch import Batch
from wbench.task.spec import load_spec
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.arrays import pack_archive, pack_array
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.current import forget
from wbench_leaderboard.submission.recompute import equal_to_targets, row_faults
from wbench_leaderboard.submission.submit import submit
from wbench_leaderboard.submit_cli import check as check_command
from wbench_leaderboard.submit_cli import submit as submit_command

MODEL = """
import numpy as np
from wbench.model import ModelInfo, Predictor

class Own(Predictor):
    info = ModelInfo("lab/own", "r1", summary="energy", source="https://example.org", licence="MIT")

    def predict(self, batch):
        score = np.abs(batch.x["H"].reshape(len(batch), -1)).max(axis=1)
        return np.stack([-score, score], axis=1).astype(np.float32)
"""


@pytest.fixture(scope="module")
def installed(built_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab's LoS task as an installed instance."""
    folder = tmp_path_factory.mktemp("instances")
    views = {part: {"recipe": "lab-snap", "side": part} for part in ("train", "val", "test")}
    entries = registry.registry().entries
    recipe, task = built_lab.root / "lab-snap.toml", built_lab.toml("los", folder, views=views)
    entries["recipe"]["lab-snap"] = registry.Entry("recipe", "lab-snap", "tests", path=recipe)
    entries["task"]["lab-los"] = registry.Entry("task", "lab-los", "tests", path=task)
    forget()
    yield built_lab
    del entries["recipe"]["lab-snap"], entries["task"]["lab-los"]
    forget()


@pytest.fixture(scope="module")
def results(installed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("own")
    (out / "own.py").write_text(MODEL)
    report = evaluate([f"{out}/own.py:Own"], ["lab-los"], size="tiny", data=installed.data, out=out / "results")
    assert not report.failures
    return out / "results"


@pytest.fixture(scope="module")
def laid(installed: Lab, results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("laid")
    found = submit([results], out=out, data=installed.data)
    assert found.report.ok, found.report.text()
    assert found.report.counts["recomputed from predictions"] == 1
    assert found.upload is None
    return found.folder


@pytest.fixture
def folder(laid: Path, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    return Path(shutil.copytree(laid, tmp_path / "submissions" / "lab__own" / "r1"))


def test_the_folder_has_what_the_page_says(laid: Path) -> None:
    run = "results/lab-los-v1/tiny/none-self-b100-d0-s0"
    names = {path.relative_to(laid).as_posix() for path in laid.rglob("*") if path.is_file()}
    files = {f"{run}/{name}" for name in (layout.RESULT, layout.COLUMNS, layout.PREDICTIONS)}
    assert names == {layout.MANIFEST, layout.CARD, *files}
    assert "command" not in json.loads((laid / run / layout.RESULT).read_text())["provenance"]
    assert "lab/own" in (laid / layout.CARD).read_text()
    with np.load(laid / run / layout.COLUMNS) as columns:
        assert set(columns.files) >= {"id", "cluster", "slices", "table_f1_macro", "table_auroc"}


def test_same_results_same_bytes(installed: Lab, results: Path, laid: Path, tmp_path: Path) -> None:
    again = submit([results], out=tmp_path, data=installed.data).folder
    for path in sorted(laid.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(laid)).read_bytes()
    before = (again / layout.MANIFEST).stat().st_mtime_ns
    assert submit([results], out=tmp_path, data=installed.data).report.ok  # laid out twice: nothing changes
    assert (again / layout.MANIFEST).stat().st_mtime_ns >= before


def test_without_the_data_it_says_so(results: Path, tmp_path: Path) -> None:
    found = submit([results], out=tmp_path / "out", data=tmp_path / "none")
    assert found.report.ok
    assert "not recomputed" in found.remarks[0]
    assert any("not reduced again" in finding.what for finding in found.report.findings)


def test_a_changed_result_is_not_laid_over_the_old_one(installed: Lab, results: Path, tmp_path: Path) -> None:
    folder = submit([results], out=tmp_path, data=installed.data).folder
    edit(folder, lambda table: table["cost"].update(predict_s=9.0))
    with pytest.raises(OutputConflictError, match="never changes"):
        submit([results], out=tmp_path, data=installed.data)


def test_two_models_are_two_submissions(installed: Lab, results: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(results, both)
    evaluate(["wbench/constant"], ["lab-los"], size="tiny", data=installed.data, out=both)
    with pytest.raises(UsageError, match="one model revision"):
        submit([both], out=tmp_path / "out", data=installed.data)
    assert submit([both], out=tmp_path / "out", data=installed.data, model="lab/own").report.ok
    ours = submit([both], out=tmp_path / "out", data=installed.data, model="wbench/constant")
    assert not ours.report.ok
    assert not ours.folder.exists()
    allowed = submit([both], out=tmp_path / "out", data=installed.data, model="wbench/constant", maintainer=True)
    assert allowed.report.ok, allowed.report.text()


def test_what_is_too_much_for_git(
    installed: Lab, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wbench_leaderboard.submission.submit.MAX_INSIDE_BYTES", 1000)
    upload, out = tmp_path / "upload", tmp_path / "out"
    with pytest.raises(ResultError, match="git takes"):
        submit([results], out=out, data=installed.data, upload=upload)
    with pytest.raises(UsageError, match="could change"):
        submit([results], out=out, data=installed.data, upload=upload, predictions_url="https://example.org/latest")
    address = f"https://example.org/{'0' * 40}"
    found = submit([results], out=out, data=installed.data, upload=upload, predictions_url=address)
    assert found.report.ok
    assert not list(found.folder.rglob("*.npy"))
    assert json.loads((found.folder / layout.MANIFEST).read_text())["outside"]["url"] == address
    # A maintainer who fetched the files gets the same checks, and they are the files that were listed.
    mirror = tmp_path / "mirror" / "lab__own" / "r1"
    shutil.copytree(upload, mirror)
    report = check_submissions(out, data=installed.data, outside=tmp_path / "mirror")
    assert report.ok
    assert report.counts["recomputed from predictions"] == 1
    listed = (found.folder / layout.MANIFEST).read_text()
    other = json.loads(listed)
    other["outside"]["files"][next(iter(other["outside"]["files"]))]["sha256"] = f"sha256:{'0' * 64}"
    (found.folder / layout.MANIFEST).write_text(json.dumps(other))
    report = check_submissions(out, data=installed.data, outside=tmp_path / "mirror")
    assert any("its digest differs" in finding.what for finding in report.errors), report.text()
    (found.folder / layout.MANIFEST).write_text(listed)
    result_file_path = next(mirror.rglob(layout.PREDICTIONS))
    result_file_path.write_bytes(pack_array(np.zeros((3, 2), np.float32)))
    assert not check_submissions(out, data=installed.data, outside=tmp_path / "mirror").ok


def test_the_audit_needs_no_dataset(folder: Path, tmp_path: Path) -> None:
    report = check_submissions(folder.parents[1], data=tmp_path / "none", recompute=True)
    assert report.ok, report.text()
    assert report.counts["audited on equivalent data"] == 1
    assert "recomputed from predictions" not in report.counts


def test_the_audit_on_identical_data(installed: Lab, folder: Path) -> None:
    report = check_submissions(folder.parents[1], data=installed.data, recompute=True)
    assert report.ok, report.text()
    assert report.counts["audited on identical data"] == 1


def turn_labels(table: dict[str, Any]) -> None:
    """Half of what was missed becomes what was predicted."""
    rows = table["table_f1_macro"]
    wrong = np.flatnonzero(rows[:, :2].argmax(axis=1) != rows[:, 2])
    rows[wrong[: len(wrong) // 2], 2] = 1 - rows[wrong[: len(wrong) // 2], 2]


def leave_out(table: dict[str, Any]) -> None:
    """Half of what was missed is not in the slice that ranks."""
    rows = table["table_f1_macro"]
    wrong = np.flatnonzero(rows[:, :2].argmax(axis=1) != rows[:, 2])
    table["slices"][wrong[: len(wrong) // 2], 0] = 0


def polish(folder: Path, change: Callable[[dict[str, Any]], None] = turn_labels) -> None:
    """Columns changed, with everything that follows from them."""
    from wbench.metric.catalogue import get_metric
    from wbench.stats import group_clusters, jackknife
    from wbench_leaderboard.submission.columns import slices_of
    from wbench_leaderboard.submission.reading import read_submitted

    path = result_file(folder)
    with np.load(path.with_name(layout.COLUMNS)) as archive:
        table = {name: archive[name] for name in archive.files}
    change(table)
    path.with_name(layout.COLUMNS).write_bytes(pack_archive(table))
    result = read_submitted(path)
    groups, places = group_clusters(table["cluster"], result.task.digest), slices_of(result)
    scores = []
    for score in result.scores:
        weight = table["slices"][:, places.index(score.slice)].astype(float)
        metric = get_metric(score.metric)
        found = jackknife(metric.reduce, table[f"table_{score.metric}"], groups, weight=weight)
        interval = found.interval
        if interval is not None:
            low, high = np.clip((interval.low, interval.high), *metric.bounds).tolist()
            interval = interval.model_copy(update={"low": low, "high": high})
        replicates = found.replicates if score.slice == "ranked" else ()
        new = {"value": found.value, "interval": interval, "replicates": replicates, "n": int(weight.sum())}
        new["tie_rate"] = metric.tie_rate(table[f"table_{score.metric}"], weight)
        scores.append(score.model_copy(update=new))
    path.write_text(result.model_copy(update={"scores": tuple(scores)}).model_dump_json())
    seal(folder)


def test_polished_columns_are_found(installed: Lab, folder: Path, tmp_path: Path) -> None:
    polish(folder)
    root = folder.parents[1]
    assert check_submissions(root, data=tmp_path / "none").ok  # consistent in itself: only data can tell
    by_data = check_submissions(root, data=installed.data)
    assert any("its predictions give" in finding.what for finding in by_data.errors)
    by_audit = check_submissions(root, data=tmp_path / "none", recompute=True)
    assert any("audit block" in finding.what for finding in by_audit.errors)


def test_other_processors_make_other_ray_traced_data(
    installed: Lab, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = type(
        load_generator(load_task("lab-los", size="tiny", data=installed.data).dataset("test").spec.generator)
    )
    monkeypatch.setattr(generator, "portable", False)
    polish(folder)
    root = folder.parents[1]
    by_audit = check_submissions(root, data=tmp_path / "none", recompute=True)
    assert by_audit.ok, by_audit.text()
    assert any("not confirmed nor refuted" in finding.what for finding in by_audit.findings)
    assert "audited on equivalent data" not in by_audit.counts
    # Where the bits are the same, a difference is one of the submission.
    assert not check_submissions(root, data=installed.data).ok
    assert not check_submissions(root, data=installed.data, recompute=True).ok


@pytest.mark.parametrize(("flipped", "fine"), [(1, True), (2, False)])
@pytest.mark.usefixtures("installed")
def test_a_sample_may_flip_to_another_slice_on_equivalent_data(
    folder: Path, tmp_path: Path, flipped: int, fine: bool
) -> None:
    def flip(table: dict[str, Any]) -> None:
        audited = np.flatnonzero(np.isin(table["id"] // 50, load_spec("lab-los").audit_blocks))
        table["slices"][audited[:flipped], 0] = 0

    polish(folder, flip)
    report = check_submissions(folder.parents[1], data=tmp_path / "none", recompute=True)
    assert report.ok == fine, report.text()


def test_samples_left_out_of_the_ranked_slice_are_found(installed: Lab, folder: Path, tmp_path: Path) -> None:
    polish(folder, leave_out)
    root = folder.parents[1]
    report = check_submissions(root, data=tmp_path / "none")
    assert report.ok, report.text()
    assert not check_submissions(root, data=installed.data).ok
    by_audit = check_submissions(root, data=tmp_path / "none", recompute=True)
    assert any("the samples of slice ranked" in finding.what for finding in by_audit.errors), by_audit.text()


def test_predictions_equal_to_the_targets(installed: Lab, folder: Path) -> None:
    task = load_task("lab-los", size="tiny", data=installed.data)
    label = task.truth("test", task.ids("test"))["label"]
    values = np.eye(2, dtype=np.float32)[label]
    result_file(folder).with_name(layout.PREDICTIONS).write_bytes(pack_array(values))
    edit(folder, lambda t: t["predictions"].update(digest=array_digest(values), bytes=len(pack_array(values))))
    report = check_submissions(folder.parents[1], data=installed.data)
    assert any("equal to the targets" in finding.what for finding in report.errors), report.text()


def test_copied_targets_are_found_through_rounding() -> None:
    """Targets of regressions are double precision, answers single."""
    wanted = np.random.default_rng(0).uniform(1, 2, (5, 2))

    class Known:
        def pairs(self, part: str, ids: Any, size: int) -> Any:
            yield Batch(ids, {}, None, None), {"target": wanted}  # type: ignore[arg-type]

    ids, answers = np.arange(5), wanted.astype(np.float32)
    assert equal_to_targets(Known(), ids, answers) == 5  # type: ignore[arg-type]
    assert equal_to_targets(Known(), ids, np.nextafter(answers, np.float32(9))) == 0  # type: ignore[arg-type]


def test_rows_on_identical_and_on_equivalent_data() -> None:
    old = {"m": np.ones((2000, 2))}

    def off(rows: int, by: float) -> dict[str, np.ndarray]:
        table = np.ones((2000, 2))
        table[:rows, 1] += by
        return {"m": table}

    assert not row_faults(off(5, 1e-7), old, identical=True)
    assert row_faults(off(5, 1e-5), old, identical=True)
    assert not row_faults(off(2000, 5e-5), old, identical=False)
    assert not row_faults(off(2, 1.0), old, identical=False)  # 0.1 % flipped labels
    assert row_faults(off(3, 1.0), old, identical=False)
    assert row_faults({"m": np.ones((3, 2))}, old, identical=False)


def test_the_commands(installed: Lab, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "submissions"
    run = CliRunner().invoke(submit_command, [str(results), "--out", str(out), "--data", str(installed.data)])
    assert run.exit_code == 0, run.output
    assert "accepted" in run.output
    assert "pull request" in run.output
    arguments = [str(out), "--data", str(tmp_path / "none"), "--report", str(tmp_path / "report")]
    run = CliRunner().invoke(check_command, arguments, standalone_mode=False)
    assert run.return_value == 0, run.output
    assert "not recomputed" in run.output
    assert json.loads((tmp_path / "report" / "report.json").read_text())["ok"] is True
    (out / "lab__own" / "r1" / layout.CARD).write_text("changed")
    run = CliRunner().invoke(check_command, arguments, standalone_mode=False)
    assert run.return_value == 1
    assert "accepted" not in (tmp_path / "report" / "report.md").read_text()
