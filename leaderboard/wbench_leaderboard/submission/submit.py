"""``wbench submit``: check results here and lay them out as one folder, the same bytes for the same results."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from wbench.errors import OutputConflictError, ResultError, UsageError, WBenchError
from wbench.result import Result
from wbench.run.plan import load_task
from wbench.run.score import read_predictions
from wbench.task.base import Task
from wbench_leaderboard.load import find_results
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.arrays import pack_array
from wbench_leaderboard.submission.card import model_card
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.checks import OURS
from wbench_leaderboard.submission.columns import make_columns
from wbench_leaderboard.submission.files import read_bytes
from wbench_leaderboard.submission.limits import MAX_CARD_BYTES, MAX_INSIDE_BYTES
from wbench_leaderboard.submission.reading import FileRecord, Manifest, Outside
from wbench_leaderboard.submission.report import Report

__all__ = ["Laid", "submit"]

Files = dict[str, bytes]


@dataclass(frozen=True)
class Laid:
    """What was laid out: the folder, the folder to upload (None if all is inside), the report, and remarks."""

    folder: Path
    upload: Path | None
    report: Report
    remarks: tuple[str, ...] = field(default=())


def submit(
    results: Sequence[Path],
    *,
    out: Path,
    model: str | None = None,
    data: Path | None = None,
    card: Path | None = None,
    predictions_url: str | None = None,
    upload: Path | None = None,
    supersedes: str | None = None,
    maintainer: bool = False,
    results_only: bool = False,
) -> Laid:
    """Lay out the submission of one model revision.

    Parameters
    ----------
    results : sequence of Path
        ``result.json`` files, or folders with them.
    out : Path
        Folder of submissions; the new one is ``OUT/<org>__<model>/<revision>``.
    model : str, optional
        Which model, if the results are of several.
    data : Path, optional
        Data folder: with the datasets, scores are recomputed and columns made.
    card : Path, optional
        Model card in Markdown; made from the results by default.
    predictions_url : str, optional
        Address below which the files of ``upload`` lie, where columns and predictions are more than 10 MB.
    upload : Path, optional
        Where these files are put; ``upload/<org>__<model>/<revision>`` by default.
    supersedes : str, optional
        Revision of the model that this one replaces on the board.
    maintainer : bool
        Allow models of the tree and reference lines.
    results_only : bool
        Leave columns and predictions out: of models of the tree, whose predictions ``make board`` makes again. Their
        digests stay in the results.

    Raises
    ------
    UsageError
        If the results are of several models or revisions, or only those of a model of the tree may come alone.
    ResultError
        If a result is not valid, was not made from its predictions, or there is too much for git and no address.
    OutputConflictError
        If the folder already holds another submission of this revision.
    """
    chosen = _choose(find_results(results), model)
    first = next(iter(chosen.values())).model
    fault = layout.model_fault(first.name) or layout.revision_fault(first.revision)
    if fault:
        step = "set info = ModelInfo(name='organisation/model', revision='1', …) and evaluate again"
        raise UsageError(
            "The model's name or revision cannot be submitted.", where=first.name, why=fault, next_step=step
        )
    name = layout.folder_of(first.name, first.revision)
    if results_only and not (maintainer and first.name.startswith(OURS)):
        why = "whoever sees them must be able to score them again"
        raise UsageError("Results without predictions are for models of the tree.", where=first.name, why=why)
    remarks: list[str] = []
    files, arrays = (_results(chosen), {}) if results_only else _files(chosen, data, remarks)
    text = model_card(list(chosen.values())).encode() if card is None else read_bytes(card, MAX_CARD_BYTES)
    files[layout.CARD] = text
    inside, outside = _share(arrays)
    upload = upload or Path("upload") / name
    if outside:
        _write(upload, outside)
        if predictions_url is None:
            raise ResultError(
                f"There are {sum(map(len, arrays.values())) / 1e6:.1f} MB of columns and predictions, "
                f"git takes {MAX_INSIDE_BYTES / 1e6:g} MB.",
                where=str(upload),
                why="the files that are too much lie there now",
                next_step="publish that folder where it never changes, then run the command again with "
                "--predictions-url https://…/<commit or record>",
            )
        address = layout.address_fault(predictions_url)
        if address:
            raise UsageError("The address of the predictions is refused.", where=predictions_url, why=address)
    files |= inside
    manifest = Manifest(
        model=first.name,
        revision=first.revision,
        supersedes=supersedes,
        files=_records(files),
        outside=Outside(url=str(predictions_url).rstrip("/"), files=_records(outside)) if outside else None,
    )
    files[layout.MANIFEST] = (manifest.model_dump_json(indent=1) + "\n").encode()
    report = _place(files, Path(out), name, manifest, data, maintainer)
    return Laid(Path(out) / name, upload if outside else None, report, tuple(remarks))


def _choose(found: Mapping[Path, Result], model: str | None) -> dict[Path, Result]:
    """The results of one model at one revision."""
    chosen = {path: result for path, result in found.items() if model in (None, result.model.name)}
    if not chosen:
        names = ", ".join(sorted({result.model.name for result in found.values()})) or "none"
        raise UsageError(
            "There are no such results.", why=f"the models there are: {names}", next_step="wbench evaluate"
        )
    models = sorted({(result.model.name, result.model.revision) for result in chosen.values()})
    if len(models) > 1:
        why = ", ".join(f"{name} ({revision})" for name, revision in models)
        raise UsageError("A submission is of one model revision.", why=f"these are {why}", next_step="--model NAME")
    return chosen


def _results(found: Mapping[Path, Result]) -> Files:
    """``result.json`` files alone, by their path in the folder."""
    files: Files = {}
    for path, result in found.items():
        place = f"{layout.result_folder(result)}/{layout.RESULT}"
        if place in files:
            raise ResultError("Two results claim the same cell.", where=str(path), why=place, next_step="remove one")
        files[place] = (_clean(result, result.predictions.bytes).model_dump_json(indent=1) + "\n").encode()
    return files


def _files(found: Mapping[Path, Result], data: Path | None, remarks: list[str]) -> tuple[Files, Files]:
    """``result.json`` files, and columns and predictions, all by their path in the folder."""
    files: Files = {}
    arrays: Files = {}
    for (name, size, season), members in _by_task(found).items():
        try:
            task: Task | None = load_task(name, size=size, data=data, season=season)
        except WBenchError as error:
            task = None
            remarks.append(f"{name} ({size}): scores not recomputed and no columns made: {error.what}")
        for path, result in members:
            place = layout.result_folder(result)
            if f"{place}/{layout.RESULT}" in files:
                raise ResultError(
                    "Two results claim the same cell.", where=str(path), why=place, next_step="remove one"
                )
            predictions = read_predictions(result, path.parent)
            packed = pack_array(predictions)
            clean = _clean(result, len(packed))
            files[f"{place}/{layout.RESULT}"] = (clean.model_dump_json(indent=1) + "\n").encode()
            arrays[f"{place}/{layout.PREDICTIONS}"] = packed
            if task is not None:
                arrays[f"{place}/{layout.COLUMNS}"] = _columns(task, clean, predictions, path)
    return files, arrays


def _by_task(found: Mapping[Path, Result]) -> dict[tuple[str, str, str], list[tuple[Path, Result]]]:
    groups: dict[tuple[str, str, str], list[tuple[Path, Result]]] = {}
    for path, result in found.items():
        groups.setdefault((result.task.name, result.task.size, result.task.season), []).append((path, result))
    return dict(sorted(groups.items()))


def _clean(result: Result, size: int) -> Result:
    """The result as it is published: without the command, which may name the author's own folders."""
    record = result.predictions.model_copy(update={"path": layout.PREDICTIONS, "bytes": size})
    provenance = {key: value for key, value in result.provenance.items() if key != "command"}
    return result.model_copy(update={"predictions": record, "provenance": provenance})


def _columns(task: Task, result: Result, predictions: npt.NDArray[Any], path: Path) -> bytes:
    if task.spec.digest != result.task.digest or len(predictions) != len(task.ids("test")):
        step = "evaluate the model again"
        raise ResultError("The result is stale: task or data have changed since.", where=str(path), next_step=step)
    return make_columns(task, result, predictions).pack()


def _share(arrays: Files) -> tuple[Files, Files]:
    """What goes into git and what stays outside: all, else the columns alone, else nothing."""
    columns = {path: content for path, content in arrays.items() if path.endswith(layout.COLUMNS)}
    for inside in (arrays, columns, {}):
        if sum(map(len, inside.values())) <= MAX_INSIDE_BYTES:
            return dict(inside), {path: content for path, content in arrays.items() if path not in inside}
    return {}, arrays


def _records(files: Files) -> dict[str, FileRecord]:
    return {
        path: FileRecord(sha256=f"sha256:{hashlib.sha256(content).hexdigest()}", bytes=len(content))
        for path, content in sorted(files.items())
    }


def _place(files: Files, out: Path, name: str, manifest: Manifest, data: Path | None, maintainer: bool) -> Report:
    """Lay the files out beside their place, check them there, and only then move them in."""
    target = out / name
    before = {path.relative_to(target).as_posix(): path for path in sorted(target.rglob("*")) if path.is_file()}
    changed = [path for path, old in before.items() if path != layout.MANIFEST and files.get(path) != old.read_bytes()]
    if changed:
        raise OutputConflictError(
            "This revision was laid out before, and what is published never changes.",
            where=str(target),
            why=f"{changed[0]} differs or is missing now",
            next_step="raise the model's revision; or remove the folder if it was never published",
        )
    with tempfile.TemporaryDirectory(prefix="wbench-submit-") as folder:
        _write(Path(folder) / name, files)
        replaced = layout.folder_of(manifest.model, manifest.supersedes) if manifest.supersedes else None
        if replaced is not None and (out / replaced).is_dir():
            shutil.copytree(out / replaced, Path(folder) / replaced, symlinks=True)
        report = check_submissions(Path(folder) / name, data=data, maintainer=maintainer)
        if report.ok:
            _write(target, files)
    return report


def _write(folder: Path, files: Files) -> None:
    try:
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.tmp")
            temporary.write_bytes(content)
            shutil.move(temporary, place)
    except OSError as error:
        raise ResultError("The submission could not be saved.", where=str(folder), why=str(error)) from error
