"""Where every page of one site is: slugs of tasks, models and datasets, relative addresses, safe outside links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from wbench_leaderboard.text import Slugs

__all__ = ["Links", "outside_link"]


class Links:
    """Addresses of the site's pages, relative to its root; :meth:`up` makes them relative to a page.

    Made from all (task, size), all (model, revision) and all recipes of the site. ``suites`` maps (suite, size) to its
    title and its tasks.
    """

    def __init__(
        self,
        tasks: Iterable[tuple[str, str]],
        models: Iterable[tuple[str, str]],
        datasets: Iterable[str] = (),
        suites: Mapping[tuple[str, str], tuple[str, Sequence[str]]] | None = None,
        families: Iterable[str] = (),
    ) -> None:
        self._tasks = Slugs(f"{task}.{size}" for task, size in tasks)
        known = set(models)
        self._models = Slugs(name for name, _ in known)
        self._several = {name for name, count in Counter(name for name, _ in known).items() if count > 1}
        self._datasets = Slugs(datasets)
        self._families = Slugs(families)
        self._suites = Slugs(f"{suite}.{size}" for suite, size in suites or {})
        self._of_task: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for (suite, size), (title, names) in (suites or {}).items():
            for task in names:
                self._of_task.setdefault((task, size), []).append((title, self.suite(suite, size)))

    def task(self, task: str, size: str) -> str:
        """Page of a task at a size."""
        return f"tasks/{self._tasks[f'{task}.{size}']}.html"

    def task_data(self, task: str, size: str, kind: str = "csv") -> str:
        """Table of a task at a size."""
        return f"data/{self._tasks[f'{task}.{size}']}.{kind}"

    def model(self, name: str) -> str:
        """Page of a model."""
        return f"models/{self._models[name]}.html"

    def pairs(self, name: str) -> str:
        """Data of a model for the comparison of two."""
        return f"data/models/{self._models[name]}.js"

    def dataset(self, recipe: str) -> str:
        """Page of a dataset."""
        return f"datasets/{self._datasets[recipe]}.html"

    def suite(self, suite: str, size: str) -> str:
        """Page of a suite at a size."""
        return f"suites/{self._suites[f'{suite}.{size}']}.html"

    def family(self, suite: str, size: str, family: str) -> str:
        """Page of one family of tasks of a suite."""
        return f"suites/{self._suites[f'{suite}.{size}']}.{self._families[family]}.html"

    def suites_of(self, task: str, size: str) -> list[tuple[str, str]]:
        """Title and page of the suites that a task belongs to."""
        return self._of_task.get((task, size), [])

    def revision(self, name: str, revision: str) -> str:
        """The revision as shown beside the name: nothing where the model has only one on the whole site."""
        return f"revision {revision or 'unnamed'}" if name in self._several else ""

    @staticmethod
    def up(page: str) -> str:
        """Prefix that leads from a page to the root: ``""`` or ``"../"``."""
        return "../" * page.count("/")


def outside_link(text: str) -> str | None:
    """The address in a text that is one http(s) address as a whole, else None.

    Other schemes are never linked, nor is an address with a user, which hides the host that it leads to.
    """
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    named = parts.username is not None or parts.password is not None
    whole = not any(c.isspace() for c in text.strip())
    plain = parts.scheme in {"http", "https"} and parts.hostname and not named and whole
    return text.strip() if plain else None
