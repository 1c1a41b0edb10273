"""Templates to files. Everything that came from a result is escaped by Jinja; nothing depends on clock or machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wbench_leaderboard.links import Links

__all__ = ["MAX_PAGE_BYTES", "Renderer"]

#: No page is larger; what has no room is in the data files.
MAX_PAGE_BYTES = 300_000
_LIMITS = (None, 200, 100, 60, 40, 30, 20, 15, 12, 10, 8, 6, 4, 2)


class Renderer:
    """Write pages and static files of one site below a folder.

    Parameters
    ----------
    root : Path
        The folder.
    site : mapping
        What every page may use, as ``site``.
    """

    def __init__(self, root: Path, site: Mapping[str, Any]) -> None:
        self._root = root
        self._environment = Environment(
            loader=PackageLoader("wbench_leaderboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.globals["site"] = dict(site)

    def page(self, template: str, href: str, **values: Any) -> None:
        """Render ``templates/<template>.html`` to ``href``, an address relative to the root."""
        self.text(href, self._rendered(template, href, values))

    def _rendered(self, template: str, href: str, values: Mapping[str, Any]) -> str:
        return self._environment.get_template(f"{template}.html").render(
            up=Links.up(href), page_name=template, **values
        )

    def bounded(self, template: str, href: str, rows: int, values: Callable[[int | None], Mapping[str, Any]]) -> None:
        """Render a page within the bound: whole if that fits, else with the most rows in a table that do.

        Parameters
        ----------
        template, href : str
            As for :meth:`page`.
        rows : int
            About how long the longest table is: what cannot fit is not tried.
        values : callable
            The page's values for at most so many rows in a table, None for all.
        """
        text = ""
        for limit in _LIMITS:
            if rows > 400 and limit is None:
                continue
            text = self._rendered(template, href, values(limit))
            if len(text.encode()) <= MAX_PAGE_BYTES:
                break
        self.text(href, text)

    def text(self, href: str, text: str) -> None:
        """Write a text file, with the same bytes on every system."""
        path = self._root / href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def static(self) -> None:
        """Copy the static files."""
        for item in sorted(files("wbench_leaderboard").joinpath("static").iterdir(), key=lambda one: one.name):
            self.text(f"static/{item.name}", item.read_text(encoding="utf-8"))
