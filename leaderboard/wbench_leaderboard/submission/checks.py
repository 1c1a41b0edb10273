"""The checks of one submission by itself: its folder, its list of files, each result and its columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wbench.digest import array_digest, file_digest
from wbench.errors import ResultError
from wbench.result import Result
from wbench_leaderboard.submission import claims, layout, plausibility
from wbench_leaderboard.submission.arrays import read_array
from wbench_leaderboard.submission.columns import Columns, reduce_faults
from wbench_leaderboard.submission.current import Current, current, stale_reasons
from wbench_leaderboard.submission.files import read_bytes, walk
from wbench_leaderboard.submission.limits import (
    MAX_CARD_BYTES,
    MAX_INSIDE_BYTES,
    MAX_OUTSIDE_BYTES,
    MAX_RESULT_BYTES,
)
from wbench_leaderboard.submission.reading import FileRecord, Manifest, read_manifest, read_submitted
from wbench_leaderboard.submission.report import Report
from wbench_leaderboard.submission.wording import card_fault, text_fault

__all__ = ["OURS", "REFERENCE_KINDS", "Options", "Submission", "check_submission", "open_submission"]

#: Kinds of models that stand as reference lines beside everybody's results, and the organisation of those in the tree.
REFERENCE_KINDS = frozenset({"trivial", "classical", "control"})
OURS = "wbench/"
_COMPLEX = ("reconstruct", "compress")


@dataclass(frozen=True)
class Options:
    """How to check: where data lie, whether to simulate, where outside files are, and whether a maintainer asks."""

    data: Path | None = None
    recompute: bool = False
    outside: Path | None = None
    maintainer: bool = False


@dataclass
class Submission:
    """One revision's folder as read: ``results`` by their folder."""

    root: Path
    name: str
    sizes: dict[str, int]
    manifest: Manifest
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The revision's folder."""
        return self.root / self.name

    def where(self, path: str) -> str:
        """A file, for messages."""
        return f"{self.name}/{path}"

    def listed(self, path: str) -> FileRecord | None:
        """The record of a file, inside or outside."""
        outside = self.manifest.outside
        return self.manifest.files.get(path) or (outside.files.get(path) if outside is not None else None)

    def place(self, path: str, options: Options) -> Path | None:
        """Where a listed file is on this machine, None if it is elsewhere."""
        if path in self.manifest.files:
            return self.folder / path
        if options.outside is None or self.listed(path) is None:
            return None
        place = options.outside / self.name / path
        return place if place.is_file() and not place.is_symlink() else None

    def predictions(self, path: str, options: Options) -> npt.NDArray[np.generic] | None:
        """Predictions of the result in a folder, None if they are elsewhere.

        Raises
        ------
        ResultError
            If they are not those of the result.
        """
        place = self.place(f"{path}/{layout.PREDICTIONS}", options)
        if place is None:
            return None
        result = self.results[path]
        dtype = "<c8" if result.task.kind in _COMPLEX else "<f4"
        array = read_array(place, (dtype,), limit=MAX_OUTSIDE_BYTES, name=layout.PREDICTIONS)
        if place.stat().st_size != result.predictions.bytes or array_digest(array) != result.predictions.digest:
            raise ResultError("The predictions are not those of the result.", why="digest or size differs")
        if len(array) != result.n_test:
            raise ResultError("The predictions do not cover the test part.", why=f"{len(array)} of {result.n_test}")
        return array

    def columns(self, path: str, options: Options) -> Columns | None:
        """Columns of the result in a folder, None if they are elsewhere."""
        place = self.place(f"{path}/{layout.COLUMNS}", options)
        return None if place is None else Columns.read(read_bytes(place, MAX_OUTSIDE_BYTES), self.results[path])


def open_submission(root: Path, name: str, report: Report) -> Submission | None:
    """Read the list of files and every result; None if there is nothing that could be checked further."""
    found: Submission | None = None
    with report.guarding(name):
        sizes = walk(root / name)
        if layout.MANIFEST not in sizes:
            raise ResultError(f"There is no {layout.MANIFEST}.")
        manifest = read_manifest(root / name / layout.MANIFEST)
        found = Submission(root, name, sizes, manifest)
    if found is None:
        return None
    if layout.folder_of(found.manifest.model, found.manifest.revision) != name:
        report.error(name, f"the folder is not that of {found.manifest.model} revision {found.manifest.revision}")
        return None
    before = len(report.errors)
    for path in found.sizes:
        fault = layout.path_fault(path) if path != layout.MANIFEST else None
        if fault:
            report.error(found.where(path), fault)
    if len(report.errors) > before:
        return None
    for path in found.manifest.files:
        if path.endswith(f"/{layout.RESULT}") and path in found.sizes and layout.path_fault(path) is None:
            with report.guarding(found.where(path)):
                found.results[path.rpartition("/")[0]] = read_submitted(found.folder / path)
    return found


def check_submission(submission: Submission, options: Options, report: Report) -> None:
    """Check everything of a submission that needs neither data nor other submissions."""
    with report.guarding(submission.name):
        _check_files(submission, options, report)
    model, maintainer = submission.manifest.model, options.maintainer
    if model.startswith(OURS) and not maintainer:
        report.error(submission.name, "the organisation 'wbench' is that of the models in the tree")
    for path, result in submission.results.items():
        where = submission.where(path)
        with report.guarding(where):
            _check_result(submission, path, result, options, report)
        if result.model.kind in REFERENCE_KINDS and not maintainer:
            report.error(
                where, f"kind {result.model.kind}: reference lines are set by the maintainers, yours is 'user'"
            )
    chosen = [*claims.split_cards(submission.results.values()), *claims.gaps(submission.results.values())]
    for text in chosen:
        report.add("warning" if maintainer else "error", submission.name, text)
    if not submission.results and not report.errors:
        report.error(submission.name, "there is no result")


def _check_files(submission: Submission, options: Options, report: Report) -> None:
    """What is listed is there and is that file; what is there is listed; every result has its predictions somewhere."""
    manifest, sizes = submission.manifest, submission.sizes
    for path in sorted(set(sizes) - {layout.MANIFEST} - set(manifest.files)):
        report.error(submission.where(path), f"not listed in {layout.MANIFEST}")
    outside = manifest.outside.files if manifest.outside is not None else {}
    for path in sorted({*manifest.files, *outside}):
        fault = layout.path_fault(path)
        if fault or (path in manifest.files and path in outside):
            report.error(submission.where(path), fault or "listed both inside and outside")
    inside = 0
    for path, record in manifest.files.items():
        if layout.path_fault(path):
            continue
        if path not in sizes:
            report.error(submission.where(path), f"listed in {layout.MANIFEST}, but not there")
            continue
        inside += sizes[path] if path.endswith((layout.COLUMNS, layout.PREDICTIONS)) else 0
        content = read_bytes(submission.folder / path, _limit(path))
        if len(content) != record.bytes or f"sha256:{hashlib.sha256(content).hexdigest()}" != record.sha256:
            report.error(submission.where(path), f"not the file that {layout.MANIFEST} lists: its digest differs")
        if path == layout.CARD:
            _check_card(content)
    if inside > MAX_INSIDE_BYTES:
        report.error(submission.name, f"{inside} bytes of columns and predictions, the limit is {MAX_INSIDE_BYTES}")
    for path, record in outside.items():
        place = None if layout.path_fault(path) else submission.place(path, options)
        if place is not None and (place.stat().st_size, file_digest(place)) != (record.bytes, record.sha256):
            report.error(submission.where(path), f"not the file that {layout.MANIFEST} lists: its digest differs")
    for path in (*manifest.files, *outside):
        if (
            layout.path_fault(path) is None
            and path != layout.CARD
            and path.rpartition("/")[0] not in submission.results
        ):
            report.error(submission.where(path), "belongs to no result that can be read")
    if layout.CARD not in manifest.files:
        report.error(submission.name, f"there is no model card, {layout.CARD}")
    bare = [path for path in submission.results if submission.listed(f"{path}/{layout.PREDICTIONS}") is None]
    if bare and options.maintainer and manifest.model.startswith(OURS):
        report.add("note", submission.name, f"{len(bare)} results without predictions: `make board` makes them again")
        bare = []
    for path in bare:
        report.error(submission.where(path), "no predictions, neither inside nor at an address")


def _limit(path: str) -> int:
    if path == layout.CARD:
        return MAX_CARD_BYTES
    return MAX_RESULT_BYTES if path.endswith(layout.RESULT) else MAX_INSIDE_BYTES


def _check_card(content: bytes) -> None:
    try:
        text = content.decode("utf-8")
        fault = text_fault(text, lines=True, most=MAX_CARD_BYTES) or card_fault(text)
    except UnicodeDecodeError as error:
        fault = str(error)
    if fault:
        raise ResultError("The model card is refused.", why=fault)


def _check_result(submission: Submission, path: str, result: Result, options: Options, report: Report) -> None:
    where, manifest = submission.where(path), submission.manifest
    if (result.model.name, result.model.revision) != (manifest.model, manifest.revision):
        report.error(where, f"it is of {result.model.name} revision {result.model.revision}")
    if layout.result_folder(result) != path:
        report.error(where, f"its content belongs to {layout.result_folder(result)}")
    if result.predictions.path != layout.PREDICTIONS:
        report.error(where, f"its predictions must be called {layout.PREDICTIONS}")
    now = current(result.task.name, result.task.size)
    if result.task.season and not options.maintainer:
        report.error(where, "a hidden season: its data are the maintainers', and so are its results")
        return
    stale = stale_reasons(result, now)
    for reason in stale:
        # What maintainers check is published, and grows old there: it is listed as stale, nobody has to remove it.
        report.add("warning" if options.maintainer else "error", where, f"stale: {reason}; evaluate the model again")
    faults = [] if stale else list(plausibility.implausible(result, now))
    if not stale:
        faults += claims.false_claims(result, now, maintainer=options.maintainer)
    for fault in faults:
        report.error(where, fault)
    if stale or faults:
        return
    for text in plausibility.too_good(result):
        report.add("warning" if options.maintainer else "error", where, text)
    for text in plausibility.unlikely(result):
        report.add("warning", where, text)
    _check_arrays(submission, path, now, options, report)


def _check_arrays(submission: Submission, path: str, now: Current, options: Options, report: Report) -> None:
    where = submission.where(path)
    report.count("results checked")
    if submission.predictions(path, options) is not None:
        report.count("predictions read")
    columns = submission.columns(path, options)
    if columns is None:
        if submission.listed(f"{path}/{layout.PREDICTIONS}") is not None:
            report.add("note", where, "not reduced again: its columns are not here")
        return
    if columns.id[-1] >= now.samples("test"):
        report.error(where, f"sample {columns.id[-1]} of its columns: the dataset has {now.samples('test')}")
    faults = reduce_faults(submission.results[path], columns)
    for fault in faults:
        report.error(where, fault)
    if not faults:
        report.count("reduced again from columns")
