"""``wbench leaderboard check``: all that can be known of submissions, from strict reading to simulated audits."""

from __future__ import annotations

from pathlib import Path

from wbench.errors import UsageError
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.checks import Options, Submission, check_submission, open_submission
from wbench_leaderboard.submission.evidence import status_faults
from wbench_leaderboard.submission.history import (
    check_against_others,
    check_status_file,
    compare_with_base,
    names_below,
)
from wbench_leaderboard.submission.report import Report

__all__ = ["check_submissions"]


def check_submissions(
    root: str | Path,
    *,
    base: str | Path | None = None,
    data: str | Path | None = None,
    recompute: bool = False,
    outside: str | Path | None = None,
    maintainer: bool = False,
) -> Report:
    """Check a folder of submissions. Nothing in it is executed, and nothing is written.

    Parameters
    ----------
    root : path
        The folder of submissions, or one revision's folder in it.
    base : path, optional
        The submissions as they are published: nothing of them may have changed or disappeared, and those that are
        still the same are not checked again.
    data : path, optional
        Data folder; where a task's datasets are there, its scores are recomputed from the predictions.
    recompute : bool
        Simulate the tasks' audit blocks anew and rescore them.
    outside : path, optional
        Folder of downloaded files that the submissions keep at an address, laid out like ``root``.
    maintainer : bool
        Allow what only maintainers do: models of the tree, reference lines, changes of the status file, and to look
        at what is too good to be true instead of refusing it.

    Returns
    -------
    Report
        Findings; ``report.ok`` is False if anything is refused.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    root, only = _root(Path(root))
    if base is not None and not Path(base).is_dir():
        raise UsageError("There is no such folder of published submissions.", where=str(base))
    options = Options(
        None if data is None else Path(data), recompute, None if outside is None else Path(outside), maintainer
    )
    report = Report()
    names: list[str] = []
    with report.guarding("submissions"):
        names = names_below(root, report)
    same: set[str] = set()
    if base is not None:
        with report.guarding("published submissions"):
            same = compare_with_base(root, Path(base), names, report)
    check_status_file(root, None if base is None else Path(base), options, report)
    with report.guarding(layout.STATUS):
        nothing, outgrown = status_faults(root)
        for text in nothing:
            report.error(layout.STATUS, text)
        for text in outgrown if maintainer else ():
            report.add("warning", layout.STATUS, text)
    fresh = ({only} if only is not None else set(names)) - same
    if base is not None and not maintainer:
        with report.guarding("published submissions"):
            _name_senders(fresh, names_below(Path(base), Report()), report)
    submissions = _checked(root, names, fresh, options, report)
    with report.guarding("submissions together"):
        check_against_others(submissions, fresh, options, report)
    # What is refused already is not worth a simulation, and may be made to fail one.
    refused = {finding.where for finding in report.errors}
    sound = [one for one in submissions if one.name in fresh and not any(w.startswith(one.name) for w in refused)]
    if sound:
        from wbench_leaderboard.submission.recompute import recompute as compute

        compute(sound, options, report)
    return report


def _name_senders(fresh: set[str], published: list[str], report: Report) -> None:
    """Whoever adds to a published model, or replaces a revision of it, should be who sent it: a person has to look."""
    models = {name.partition("/")[0] for name in published}
    for name in sorted(fresh):
        if name.partition("/")[0] in models:
            report.add("warning", name, "its model is published already: is it from those who sent the others?")


def _root(path: Path) -> tuple[Path, str | None]:
    """The folder of submissions, and the one submission that was asked for if it was one."""
    if not path.is_dir():
        raise UsageError("There is no such folder of submissions.", where=str(path), next_step="wbench submit RESULTS")
    if (path / layout.MANIFEST).is_file():
        path = path.resolve()
        return path.parent.parent, f"{path.parent.name}/{path.name}"
    return path, None


def _checked(root: Path, names: list[str], fresh: set[str], options: Options, report: Report) -> list[Submission]:
    submissions = []
    for name in names:
        # Those published were checked when they came; they are read for what they share with the new ones.
        target = report if name in fresh else Report()
        found = open_submission(root, name, target)
        if found is None:
            continue
        submissions.append(found)
        if name in fresh:
            report.count("submissions")
            check_submission(found, options, report)
    return submissions
