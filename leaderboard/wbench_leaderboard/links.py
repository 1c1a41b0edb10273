"""Where every page of one site is: slugs of tasks and models, relative addresses, safe outside links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

from wbench_leaderboard.text import Slugs

__all__ = ["Links", "outside_link"]


class Links:
    """Addresses of the site's pages, relative to its root; :meth:`up` makes them relative to a page.

    Made from all (task, size) and all (model, revision) of the site.
    """

    def __init__(self, tasks: Iterable[tuple[str, str]], models: Iterable[tuple[str, str]]) -> None:
        self._tasks = Slugs(f"{task}.{size}" for task, size in tasks)
        known = set(models)
        self._models = Slugs(name for name, _ in known)
        self._several = {name for name, count in Counter(name for name, _ in known).items() if count > 1}

    def task(self, task: str, size: str) -> str:
        """Page of a task at a size."""
        return f"tasks/{self._tasks[f'{task}.{size}']}.html"

    def task_data(self, task: str, size: str) -> str:
        """Table of a task at a size."""
        return f"data/{self._tasks[f'{task}.{size}']}.csv"

    def model(self, name: str) -> str:
        """Page of a model."""
        return f"models/{self._models[name]}.html"

    def revision(self, name: str, revision: str) -> str:
        """The revision as shown beside the name: nothing where the model has only one on the whole site."""
        return f"revision {revision or 'unnamed'}" if name in self._several else ""

    @staticmethod
    def up(page: str) -> str:
        """Prefix that leads from a page to the root: ``""`` or ``"../"``."""
        return "../" * page.count("/")


def outside_link(text: str) -> str | None:
    """The address in a text that is one http(s) address as a whole, else None: other schemes are never linked."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    plain = parts.scheme in {"http", "https"} and parts.hostname and not any(c.isspace() for c in text.strip())
    return text.strip() if plain else None
