"""What is on the site, and writing it: every page and every data file of one build."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import wbench
from wbench_leaderboard import exports, glossary
from wbench_leaderboard.dataset_pages import dataset_lines, dataset_page
from wbench_leaderboard.datasets import DatasetInfo
from wbench_leaderboard.links import Links
from wbench_leaderboard.model_pages import entries_by_model, model_page, places_of
from wbench_leaderboard.overall import family_tables, overall_tables, suite_boards
from wbench_leaderboard.overview import model_lines, overview
from wbench_leaderboard.pairs import index_script, model_script
from wbench_leaderboard.rank import Board
from wbench_leaderboard.references import bibtex, paper_rows
from wbench_leaderboard.render import Renderer
from wbench_leaderboard.suite_pages import families_of, family_page, suite_page
from wbench_leaderboard.suites import SuiteInfo
from wbench_leaderboard.task_pages import task_page
from wbench_leaderboard.text import REGIME_LABELS
from wbench_leaderboard.views import REFERENCE_LABEL

__all__ = ["Content", "write_content"]

MODELS_PER_PAGE = 250
#: Pages that are the same whatever the results: (file, title, what it is about).
FIXED = (
    ("compare.html", "Compare two models", "paired comparison, task by task"),
    ("submit.html", "How to submit", "from your model to a row of the board"),
    ("about.html", "Method", "how to read this board: scores, intervals, ranking, regimes, evidence"),
)


@dataclass(frozen=True)
class Content:
    """Everything that a site is built from, ranked."""

    boards: Sequence[Board]
    docs: Mapping[str, Mapping[str, Any]]
    title: str
    suites: Sequence[SuiteInfo]
    datasets: Mapping[str, DatasetInfo]

    @cached_property
    def ranked_suites(self) -> list[tuple[SuiteInfo, str, list[Board]]]:
        """Suites with their boards, size by size; where no suite has a task, all tasks are one."""
        found = []
        for size in dict.fromkeys(board.edition.size for board in self.boards):
            same = [(suite, size, suite_boards(self.boards, suite, size)) for suite in self.suites]
            same = [(suite, size, members) for suite, size, members in same if members]
            if not same:
                names = tuple(board.edition.task for board in self.boards if board.edition.size == size)
                whole = SuiteInfo("all", "All tasks", "", "Every task of this board", names)
                members = suite_boards(self.boards, whole, size)
                same = [(whole, size, members)] if members else []
            found += same
        return found

    @cached_property
    def recipes(self) -> list[str]:
        """Recipes that have a page: the given ones and those of the results."""
        used = {d.recipe for b in self.boards for e in b.all for r in e.results for d in r.datasets}
        return sorted(used | set(self.datasets))

    @cached_property
    def links(self) -> Links:
        """Addresses of all pages."""
        return Links(
            [(board.edition.task, board.edition.size) for board in self.boards],
            [(e.model.name, e.model.revision) for board in self.boards for e in board.all],
            self.recipes,
            {(s.name, size): (s.title, [b.edition.task for b in m]) for s, size, m in self.ranked_suites},
            {board.all[0].task.family for board in self.boards},
        )

    @cached_property
    def uses(self) -> dict[str, list[Board]]:
        """Boards of each recipe."""
        found: dict[str, list[Board]] = {}
        for board in self.boards:
            for recipe in dict.fromkeys(d.recipe for d in board.all[0].results[0].datasets):
                found.setdefault(recipe, []).append(board)
        return found


def write_content(content: Content, root: Path, marker: str) -> None:
    """Write the whole site below ``root``."""
    whole = [exports.task_json(board) for board in content.boards]
    digest = hashlib.sha256("".join(whole).encode()).hexdigest()[:12]
    renderer = Renderer(root, _site(content, digest))
    renderer.text(marker, "A site of wbench leaderboard build; it may be replaced by another one.\n")
    renderer.static()
    for board, text in zip(content.boards, whole, strict=True):
        renderer.text(content.links.task_data(board.edition.task, board.edition.size, "json"), text)
    renderer.text("data/results.json", exports.results_json(content.boards))
    renderer.text("data/scores.csv", exports.scores_csv(e for board in content.boards for e in board.all))
    _fixed(content, renderer)
    _suites(content, renderer)
    _tasks(content, renderer)
    models = _models(content, renderer)
    _datasets(content, renderer)
    papers = {row.paper.key: row.paper for board in content.boards for row in paper_rows(board.edition.task)}
    renderer.text(
        "data/wbench.bib", "\n".join((_bibtex(content, digest), bibtex(list(papers.values())))).strip() + "\n"
    )
    renderer.text("data/index.js", index_script(_found(content), models))


def _bibtex(content: Content, digest: str) -> str:
    return exports.board_bibtex(content.title, wbench.__version__, [suite.name for suite in content.suites], digest)


def _site(content: Content, digest: str) -> dict[str, Any]:
    """What every page may use."""
    entries = [entry for board in content.boards for entry in board.all]
    return {
        "title": content.title,
        "version": wbench.__version__,
        "results": sum(len(entry.results) for entry in entries),
        "digest": digest,
        "bibtex": _bibtex(content, digest).strip(),
        "kinds": glossary.MODEL_KINDS,
        "overlaps": glossary.OVERLAPS,
        "evidence": glossary.EVIDENCE,
        "families": glossary.FAMILIES,
        "statuses": sorted({entry.evidence.status for entry in entries}),
        "metrics": {
            name: glossary.METRICS.get(name, "")
            for name in sorted({score.metric for entry in entries for score in entry.results[0].scores})
        },
        "main_suite": None
        if not content.ranked_suites
        else (content.ranked_suites[0][0].title, content.links.suite(*_first_suite(content))),
    }


def _first_suite(content: Content) -> tuple[str, str]:
    suite, size, _ = content.ranked_suites[0]
    return suite.name, size


def _fixed(content: Content, renderer: Renderer) -> None:
    page = overview(content.boards, content.ranked_suites, content.docs, content.links, len(content.recipes))
    renderer.page("index", "index.html", page=page)
    renderer.page("compare", "compare.html")
    renderer.page("search", "search.html")
    renderer.page("submit", "submit.html")
    renderer.page("about", "about.html")


def _suites(content: Content, renderer: Renderer) -> None:
    for suite, size, members in content.ranked_suites:
        _suite(content, renderer, suite, size, members)
        for family in families_of(members).values():
            if len(family) > 1:
                _family(content, renderer, suite, size, family)


def _suite(content: Content, renderer: Renderer, suite: SuiteInfo, size: str, members: Sequence[Board]) -> None:
    href = content.links.suite(suite.name, size)
    tables = overall_tables(members)

    def values(limit: int | None) -> dict[str, Any]:
        page = suite_page(suite, size, members, tables, content.docs, content.links, limit)
        return {"page": page, "csv_href": f"../{_suite_csv(href)}", **_choices(members)}

    renderer.bounded("suite", href, _longest(members), values)
    renderer.text(_suite_csv(href), exports.suite_csv(tables))


def _suite_csv(href: str) -> str:
    return f"data/suite-{href.rpartition('/')[2].removesuffix('.html')}.csv"


def _family(content: Content, renderer: Renderer, suite: SuiteInfo, size: str, members: Sequence[Board]) -> None:
    href = content.links.family(suite.name, size, members[0].all[0].task.family)
    tables = family_tables(members)

    def values(limit: int | None) -> dict[str, Any]:
        page = family_page(suite, size, members, tables, content.docs, content.links, limit)
        return {"page": page, **_choices(members)}

    renderer.bounded("family", href, _longest(members), values)


def _tasks(content: Content, renderer: Renderer) -> None:
    for board in content.boards:
        task, size = board.edition.task, board.edition.size

        def values(limit: int | None, board: Board = board) -> dict[str, Any]:
            docs = content.docs.get(board.edition.task, {})
            page = task_page(board, docs, content.links, boards=content.boards, limit=limit)
            return {"page": page, **_choices([board])}

        renderer.bounded("task", content.links.task(task, size), _longest([board]), values)
        renderer.text(content.links.task_data(task, size), exports.task_csv(board))


def _models(content: Content, renderer: Renderer) -> list[tuple[str, str]]:
    found, places = entries_by_model(content.boards), places_of(content.boards)
    for name, entries in found.items():

        def values(limit: int | None, name: str = name, entries: Any = entries) -> dict[str, Any]:
            return {"page": model_page(name, entries, places, content.links, limit)}

        renderer.bounded("model", content.links.model(name), len(entries), values)
        current = [pair for pair in entries if id(pair[1]) in places]
        renderer.text(content.links.pairs(name), model_script(name, current, content.links))
    lines = model_lines(content.boards, content.links)
    pages = [lines[i : i + MODELS_PER_PAGE] for i in range(0, len(lines), MODELS_PER_PAGE)]
    names = ["models.html", *(f"models-{number}.html" for number in range(2, len(pages) + 1))]
    for index, (href, part) in enumerate(zip(names, pages, strict=True)):
        renderer.page(
            "models", href, lines=part, names=names, index=index, total=len(lines), **_choices(content.boards, part)
        )
    return [(name, content.links.pairs(name)) for name in found]


def _datasets(content: Content, renderer: Renderer) -> None:
    used = {recipe: sorted({b.edition.task for b in boards}) for recipe, boards in content.uses.items()}
    lines = dataset_lines(content.datasets, content.recipes, used, content.links)
    generators = sorted({line.generator for line in lines if line.generator})
    licences = sorted({line.licence for line in lines if line.licence})
    renderer.page("datasets", "datasets.html", lines=lines, generators=generators, licences=licences)
    for name in content.recipes:
        boards = content.uses.get(name, [])
        page = dataset_page(name, content.datasets.get(name), boards, content.docs, content.links)
        renderer.page("dataset", page.href, page=page)


def _longest(boards: Sequence[Board]) -> int:
    return max((len(group.contestants) for board in boards for group in board.groups), default=0)


def _choices(boards: Sequence[Board], lines: Sequence[Any] | None = None) -> dict[str, Any]:
    """What the filters of a page offer."""
    entries = [entry for board in boards for entry in board.entries]
    present = {group.key.regime for board in boards for group in board.groups}
    labels = {**REGIME_LABELS, "reference": REFERENCE_LABEL} if lines is None else REGIME_LABELS
    if lines is not None:
        present = {regime for line in lines for regime in line.regimes}
    return {
        "kinds": sorted({line.kind for line in lines} if lines is not None else {e.model.kind for e in entries}),
        "regimes": [(regime, label) for regime, label in labels.items() if regime in present],
        "licences": sorted(
            {line.licence for line in lines if line.licence}
            if lines is not None
            else {e.model.licence for e in entries if e.model.licence}
        ),
        "statuses": sorted(
            {line.evidence for line in lines} if lines is not None else {e.evidence.status for e in entries}
        ),
        "sizes": list(dict.fromkeys(board.edition.size for board in boards)),
    }


def _found(content: Content) -> list[tuple[str, str, str, str]]:
    """What the search finds: (kind, title, address, text)."""
    found = [("page", title, href, text) for href, title, text in FIXED]
    for suite, size, members in content.ranked_suites:
        text = f"{len(members)} tasks"
        found.append(("suite", f"{suite.title} ({size})", content.links.suite(suite.name, size), text))
    for board in content.boards:
        summary = str(content.docs.get(board.edition.task, {}).get("summary", ""))
        family = board.all[0].task.family
        text = " · ".join(part for part in (glossary.FAMILIES.get(family, family), summary) if part)
        title = f"{board.edition.task} ({board.edition.size})"
        found.append(("task", title, content.links.task(board.edition.task, board.edition.size), text))
    for line in model_lines(content.boards, content.links):
        found.append(("model", line.name, line.href, " · ".join(part for part in (line.kind, line.summary) if part)))
    for name in content.recipes:
        info = content.datasets.get(name)
        found.append(("dataset", name, content.links.dataset(name), "" if info is None else info.summary))
    return found
