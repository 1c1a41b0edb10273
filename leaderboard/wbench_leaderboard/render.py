"""Templates to files. Everything that came from a result is escaped by Jinja; nothing depends on clock or machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wbench_leaderboard.links import Links

__all__ = ["Renderer"]


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
        text = self._environment.get_template(f"{template}.html").render(
            up=Links.up(href), page_name=template, **values
        )
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
