"""The published board: score the matrix of ``leaderboard/board.toml``, lay the results out, build the site.

``make board``, or ``python tools/board.py --data FOLDER``. Whatever stops it, the same command carries on: a result is
written when it exists and kept if what was asked for is the same. Predictions are not kept: anybody makes those of a
model of the tree again with this command, and their digests are in the results.

``--matrix leaderboard/tiny.toml`` scores the baselines on every instance's ``tiny`` data: a check, never a board.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import shutil
import sys
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from wbench.errors import WBenchError
from wbench.model_folder import FILE
from wbench.registry import registry
from wbench.result import Result, read_result
from wbench.run.evaluate import CellReport, evaluate
from wbench.run.generate import generate
from wbench.run.plan import dataset_path, find_dataset
from wbench.run.pretrain import pretrain
from wbench.task.spec import load_spec, load_suite

ROOT = Path(__file__).resolve().parent.parent
MATRIX = ROOT / "leaderboard" / "board.toml"
SUBMISSIONS = ROOT / "leaderboard" / "submissions"
DIGEST = ROOT / "leaderboard" / "site.sha256"
#: Ranked tasks without the results of their trivial baselines, one a line: nothing, once the board is whole.
PENDING = ROOT / "leaderboard" / "pending.txt"
#: A model of a round that is pre-trained first: ``preset:NAME``.
PRESET = "preset:"


class Round(BaseModel):
    """Some models on some tasks. ``budgets`` None: those that each task ranks.

    A model is a name, a class, or ``preset:NAME`` for the encoder that `wbench pretrain NAME` makes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    models: tuple[str, ...] = Field(min_length=1)
    tasks: tuple[str, ...] = ("*",)
    heads: tuple[str, ...] = ("linear",)
    regimes: tuple[str, ...] = ("head",)
    budgets: tuple[float, ...] | None = None
    draws: int | None = Field(default=None, ge=1)
    seeds: int | None = Field(default=None, ge=1)


class Matrix(BaseModel):
    """The whole board. No ``suite``: every instance. ``left_out``: models that are on no round, with the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = ""
    size: str
    draws: int = Field(ge=1)
    seeds: int = Field(ge=1)
    rounds: tuple[Round, ...]
    left_out: dict[str, str] = {}

    def tasks(self) -> tuple[str, ...]:
        """Instances of the suite in its order, or all in that of their names."""
        return load_suite(self.suite).tasks if self.suite else tuple(registry().names("task"))


def read_matrix(path: Path = MATRIX) -> Matrix:
    """Read and check the matrix."""
    return Matrix.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def tasks_of(one: Round, suite: tuple[str, ...]) -> list[str]:
    """Tasks of the suite that a round's patterns name, in the suite's order."""
    return [task for task in suite if any(fnmatch.fnmatchcase(task, pattern) for pattern in one.tasks)]


def missing_data(tasks: list[str], size: str, data: Path | None) -> dict[str, str]:
    """Tasks whose datasets are not all here, with the reason."""
    found: dict[str, str | None] = {}
    for recipe in dict.fromkeys(recipe for task in tasks for recipe in load_spec(task).recipes):
        try:
            find_dataset(recipe, size, data)
            found[recipe] = None
        except WBenchError as error:
            found[recipe] = f"{error.what} {error.next_step or ''}".strip()
    reasons = {task: [found[recipe] for recipe in load_spec(task).recipes if found[recipe]] for task in tasks}
    return {task: str(why[0]) for task, why in reasons.items() if why}


def generate_missing(tasks: tuple[str, ...], size: str, data: Path | None) -> None:
    """Generate the datasets of tasks that are not there, as far as their simulators are."""
    for recipe in dict.fromkeys(recipe for task in tasks for recipe in load_spec(task).recipes):
        try:
            find_dataset(recipe, size, data)
        except WBenchError:  # absent or half: generate carries on; of another version: it refuses
            try:
                generate(recipe, size=size, out=dataset_path(recipe, size, data=data))
                say(f"generated: {recipe}")
            except WBenchError as error:
                say(f"not generated: {recipe}: {error.what}")


def references(models: tuple[str, ...], folder: Path, data: Path | None) -> tuple[list[str], int]:
    """Models as `wbench evaluate` takes them, pre-trained where a round says so; and how many could not be."""
    found, failed = [], 0
    for model in models:
        name = model.removeprefix(PRESET)
        if name != model and not (folder / name / FILE).exists():
            say(f"pre-training {name} into {folder / name}")
            try:  # what was stopped is carried on
                pretrain(name, folder / name, data=data)
            except WBenchError as error:
                say(f"not pre-trained: {name}: {error.what} {error.next_step or ''}".strip())
                failed += 1
                continue
        found.append(model if name == model else str(folder / name))
    return found, failed


def score_all(matrix: Matrix, results: Path, data: Path | None, only: str, encoders: Path) -> int:
    """Score all rounds; returns how many cells failed."""
    suite = matrix.tasks()
    missing = missing_data(list(suite), matrix.size, data)
    for task, why in missing.items():
        say(f"left out: {task}: {why}")
    failed = len(missing)
    for number, one in enumerate(matrix.rounds, 1):
        tasks = [task for task in tasks_of(one, suite) if task not in missing]
        if not fnmatch.fnmatchcase(one.name, only) or not tasks:
            continue
        say(f"\nround {number} of {len(matrix.rounds)}: {one.name}: {len(one.models)} models, {len(tasks)} tasks")
        models, absent = references(one.models, encoders, data)
        failed += absent
        if not models:
            continue
        report = evaluate(
            models,
            tasks,
            size=matrix.size,
            data=data,
            out=results,
            head=one.heads,
            regime=one.regimes,
            budgets=one.budgets or "ranked",
            draws=one.draws or matrix.draws,
            seeds=one.seeds or matrix.seeds,
            predictions=False,
            on_plan=lambda forecast: say(str(forecast)),
            on_cell=tell,
        )
        failed += len(report.failures)
    return failed


def tell(report: CellReport) -> None:
    """One line for each cell that ran."""
    cell = report.cell
    what = f"{report.task} {cell.model} {cell.head or ''} {cell.budget:g} % d{cell.draw} s{cell.seed}"
    if report.status == "failed":
        say(f"failed: {what}: {report.reason}")
    elif report.status == "done" and report.result is not None:
        score = report.result.primary()
        say(f"{what}: {score.value:.4f} {score.unit} in {report.result.cost.wall_s or 0:.1f} s")


def on_the_board(result: Result) -> bool:
    """Whether a result is of today's task and of a budget that the board shows.

    Those are the ranked ones, the whole training part and, under a head, the budgets of the rounds. Other pages have
    results of budgets of their own (20 000 samples, say), which would be a table of one row here.
    """
    spec = load_spec(result.task.name)
    budgets = {*spec.budgets, 100.0, *((1.0, 10.0) if result.head else ())}
    return spec.digest == result.task.digest and result.budget_percent in budgets and result.shots is None


def lay_out(results: Path, submissions: Path) -> int:
    """Lay out a submission for each model; returns how many were refused."""
    from wbench_leaderboard.submission.layout import CARD, folder_of
    from wbench_leaderboard.submission.submit import submit

    models: dict[str, list[Path]] = {}
    for path in sorted(results.glob("*/*/*/*/result.json")):
        result = read_result(path)
        if on_the_board(result):
            models.setdefault(result.model.name, []).append(path)
    refused = 0
    for name, paths in sorted(models.items()):
        first = read_result(paths[0]).model
        card = submissions / folder_of(first.name, first.revision) / CARD  # what is published never changes
        try:
            laid = submit(
                paths, out=submissions, maintainer=True, results_only=True, card=card if card.is_file() else None
            )
        except WBenchError as error:
            say(f"{name}: {error}")
            refused += 1
            continue
        say(f"{name}: {len(paths)} results" + ("" if laid.report.ok else f", refused:\n{laid.report.text()}"))
        refused += not laid.report.ok
    return refused


def baselines_table(matrix: Matrix, results: Path) -> str:
    """Markdown: for each instance its datasets, and the best of its trivial baselines and of the other models."""
    lines = ["| instance | dataset | metric | best trivial baseline | best other |", "|---|---|---|--:|--:|"]
    for task in matrix.tasks():
        spec = load_spec(task)
        read = [read_result(path) for path in sorted(results.glob(f"{task}-v*/{matrix.size}/*/*/result.json"))]
        found = [result for result in read if result.task.digest == spec.digest]
        trivial = best([result for result in found if result.model.name in spec.trivial])
        other = best([result for result in found if result.model.name not in spec.trivial])
        data = ", ".join(f"`{recipe}`" for recipe in spec.recipes)
        lines.append(f"| `{task}` | {data} | `{spec.primary}` | {trivial} | {other} |")
    return "\n".join(lines)


def best(results: list[Result]) -> str:
    """The best of some results of one task in words."""
    if not results:
        return "–"
    scores = {result.model.name.removeprefix("wbench/"): result.primary() for result in results}
    name, score = max(scores.items(), key=lambda item: item[1].value if item[1].higher_is_better else -item[1].value)
    value = f"{score.value:.2f} {score.unit}" if score.unit else f"{score.value:.3f}"
    return f"`{name}` {value.replace('-', '−')}"


def put(table: str, page: Path) -> None:
    """Put a table in the place of the one that ends a page."""
    before = page.read_text(encoding="utf-8").partition("\n| ")[0]
    page.write_text(f"{before}\n{table}\n", encoding="utf-8")


def pending(suite: str, submissions: Path) -> list[str]:
    """Tasks of the suite that lack a result of one of their trivial baselines, in its order."""
    found: dict[str, set[str]] = {}
    for path in submissions.rglob("result.json"):
        result = read_result(path)
        if result.task.digest == load_spec(result.task.name).digest:
            found.setdefault(result.task.name, set()).add(result.model.name)
    return [task for task in load_suite(suite).tasks if not set(load_spec(task).trivial) <= found.get(task, set())]


def build(submissions: Path, site: Path) -> str:
    """Build the site as `wbench leaderboard build` does; returns its digest."""
    from wbench_leaderboard.cli import build as command

    command.main([str(submissions), "--out", str(site)], standalone_mode=False)  # what CI publishes
    return folder_digest(site)


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and the bytes of all files of a folder, in the order of the names."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        whole.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()


def verify(site: Path) -> int:
    """Whether a site that was built elsewhere has the bytes that were committed for."""
    found, committed = folder_digest(site), DIGEST.read_text(encoding="utf-8").strip()
    say(f"site {found}, committed {committed}" + ("" if found == committed else ': make board ARGS="--step site"'))
    return int(found != committed)


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


def main() -> int:
    """Parse, and run the steps that are asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, help="data folder [default: $WBENCH_DATA or ./data]")
    parser.add_argument("--matrix", type=Path, default=MATRIX, help="what is scored")
    parser.add_argument("--results", type=Path, help="where results are kept [default: results/NAME of the matrix]")
    parser.add_argument("--encoders", type=Path, default=ROOT / "models", help="where encoders are pre-trained")
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="where the site is built")
    parser.add_argument("--step", choices=["all", "score", "submit", "site", "verify", "table"], default="all")
    parser.add_argument("--rounds", default="*", help="pattern of the names of rounds")
    parser.add_argument("--generate", action="store_true", help="generate datasets that are missing")
    parser.add_argument("--page", type=Path, help="of the step table: the page that ends with it")
    given = parser.parse_args()
    if given.matrix.resolve() != MATRIX and given.step not in ("score", "table"):
        parser.error(f"only {MATRIX.name} is published: --step score or --step table")
    matrix, results = read_matrix(given.matrix), given.results or ROOT / "results" / given.matrix.stem
    wrong = 0
    if given.generate:
        generate_missing(matrix.tasks(), matrix.size, given.data)
    if given.step in ("all", "score"):
        wrong += score_all(matrix, results, given.data, given.rounds, given.encoders)
    if given.step == "table":
        table = baselines_table(matrix, results)
        if given.page:
            put(table, given.page)
        say(table)
    if given.step in ("all", "submit"):
        wrong += lay_out(results, SUBMISSIONS)
    if given.step in ("all", "submit", "site"):
        shutil.rmtree(given.site, ignore_errors=True)
        digest = build(SUBMISSIONS, given.site)
        DIGEST.write_text(f"{digest}\n", encoding="utf-8")
        say(f"site {digest} in {given.site}")
        waiting = pending(matrix.suite, SUBMISSIONS)
        PENDING.write_text("".join(f"{task}\n" for task in waiting), encoding="utf-8")
        say(f"{len(waiting)} tasks are pending: {', '.join(waiting) or 'the board is whole'}")
    if given.step == "verify":
        return verify(given.site)
    if wrong:
        say(f"{wrong} tasks, cells or submissions are missing: run it again when they can be made")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
