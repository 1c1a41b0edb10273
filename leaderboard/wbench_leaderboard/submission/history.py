"""What stands beside a submission: what was published before, other submissions, and the maintainers' own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.checks import Options, Submission
from wbench_leaderboard.submission.files import folders, read_bytes, walk
from wbench_leaderboard.submission.limits import MAX_INSIDE_BYTES, MAX_STATUS_BYTES
from wbench_leaderboard.submission.reading import read_manifest
from wbench_leaderboard.submission.report import Report
from wbench_leaderboard.submission.together import check_answers, check_test_parts
from wbench_leaderboard.submission.wording import looks_like

__all__ = ["check_against_others", "check_status_file", "compare_with_base", "names_below"]


def names_below(root: Path, report: Report) -> list[str]:
    """``<org>__<model>/<revision>`` of every submission below a folder; what else is there is an error."""
    others: list[str] = []
    found = []
    for model in folders(root, others):
        if layout.model_of(model) is None:
            report.error(model, "not the folder of a model: <org>__<model> is expected")
            continue
        loose: list[str] = []
        revisions = folders(root / model, loose)
        for name in loose:
            report.error(f"{model}/{name}", "not the folder of a revision")
        for revision in revisions:
            fault = layout.revision_fault(revision)
            if fault:
                report.error(f"{model}/{revision}", fault)
            else:
                found.append(f"{model}/{revision}")
        if not revisions:
            report.error(model, "there is no revision in it")
    for name in others:
        if name not in (layout.STATUS, layout.CARD):
            report.error(name, "not the folder of a model")
    for name in (layout.STATUS, layout.CARD):
        if (root / name).is_symlink():
            report.error(name, "a symbolic link is not a file")
    return found


def check_status_file(root: Path, base: Path | None, options: Options, report: Report) -> None:
    """The files that the maintainers keep are the ones of the base."""
    if base is None or options.maintainer:
        return
    for name in (layout.STATUS, layout.CARD):
        with report.guarding(name):
            pair = [
                read_bytes(folder / name, MAX_STATUS_BYTES) if _there(folder / name) else b"" for folder in (base, root)
            ]
            if pair[0] != pair[1]:
                report.error(name, "kept by the maintainers: a submission cannot change it")


def _there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def compare_with_base(root: Path, base: Path, names: Sequence[str], report: Report) -> set[str]:
    """Hold the submissions against those already published: nothing of them may change or disappear.

    Only the list of files may grow, by new results of the same revision.

    Returns
    -------
    set of str
        Submissions that are byte for byte as they were.
    """
    published = names_below(base, Report())
    same = set()
    for name in published:
        if name not in names:
            report.error(name, "published, and removed here; a maintainer can withdraw it, nobody can remove it")
            continue
        before = len(report.errors)
        with report.guarding(name):
            if _compare(root / name, base / name, name, report) and len(report.errors) == before:
                same.add(name)
    return same


def _compare(new: Path, old: Path, name: str, report: Report) -> bool:
    old_sizes, new_sizes = walk(old), walk(new)
    for path, size in old_sizes.items():
        if path == layout.MANIFEST:
            continue
        if path not in new_sizes:
            report.error(f"{name}/{path}", "published, and removed here")
        elif size != new_sizes[path] or _bytes(old / path) != _bytes(new / path):
            report.error(f"{name}/{path}", "published, and changed here: give the model a new revision")
    if old_sizes == new_sizes and _bytes(old / layout.MANIFEST) == _bytes(new / layout.MANIFEST):
        return True
    then, now = read_manifest(old / layout.MANIFEST), read_manifest(new / layout.MANIFEST)
    if (then.model, then.revision, then.supersedes) != (now.model, now.revision, now.supersedes):
        report.error(f"{name}/{layout.MANIFEST}", "its model, revision and supersedes are published and stay")
    kept = then.outside.files if then.outside is not None else {}
    listed = now.outside.files if now.outside is not None else {}
    moved = then.outside is not None and (now.outside is None or then.outside.url != now.outside.url)
    if moved or any(listed.get(path) != record for path, record in kept.items()):
        report.error(f"{name}/{layout.MANIFEST}", "the address and digests of published predictions stay as they are")
    return False


def _bytes(path: Path) -> bytes:
    return read_bytes(path, MAX_INSIDE_BYTES)


def check_against_others(submissions: Sequence[Submission], fresh: set[str], options: Options, report: Report) -> None:
    """Names that look alike, other test samples than everybody's, one model's answers under another's name."""
    _check_names(submissions, fresh, report)
    check_test_parts(submissions, fresh, options, report)
    check_answers(submissions, fresh, options, report)
    known = {one.name for one in submissions}
    for submission in submissions:
        replaced = submission.manifest.supersedes
        if replaced and layout.folder_of(submission.manifest.model, replaced) not in known and submission.name in fresh:
            report.error(submission.name, f"supersedes revision {replaced}, which is not there")


def _check_names(submissions: Sequence[Submission], fresh: set[str], report: Report) -> None:
    seen: dict[str, str] = {}
    for submission in sorted(submissions, key=lambda one: (one.name in fresh, one.name)):
        model = submission.manifest.model
        for text in (model, f"{model} {submission.manifest.revision}"):
            other = seen.setdefault(looks_like(text), text)
            if other != text and submission.name in fresh:
                report.error(submission.name, f"{text} can be taken for {other}")
                break
