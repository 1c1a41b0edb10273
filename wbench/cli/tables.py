"""Tables: for people on a terminal, or as json, csv, md and latex where a person would paste them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

__all__ = ["format_option", "show_table"]

FORMATS = ("table", "json", "csv", "md", "latex")
#: What became of something, in colour; the word says it as well.
_STYLES = {"ok": "green", "done": "green", "failed": "bold red"}
_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Click option ``--format``."""
    return click.option("--format", "format_", type=click.Choice(FORMATS), default="table", help="How to print.")(
        function
    )


def show_table(rows: Sequence[Mapping[str, Any]], format_: str = "table", title: str = "") -> None:
    """Print rows of the same keys on standard output."""
    columns = list(rows[0]) if rows else []
    cells = [["" if row[c] is None else str(row[c]) for c in columns] for row in rows]
    if format_ == "json":
        click.echo(json.dumps([dict(row) for row in rows], indent=1, ensure_ascii=False))
    elif format_ == "csv":
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([columns, *cells])
        click.echo(stream.getvalue(), nl=False)
    elif format_ == "md":
        lines = [columns, ["---"] * len(columns), *cells]
        click.echo("\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines))
    elif format_ == "latex":
        click.echo(_latex(columns, cells))
    else:
        _rich(columns, cells, title)


def _latex(columns: list[str], cells: list[list[str]]) -> str:
    def line(values: list[str]) -> str:
        return " & ".join("".join(_LATEX.get(ch, ch) for ch in value) for value in values) + r" \\"

    body = "\n".join(line(row) for row in cells)
    spec = "l" * len(columns)
    head = f"\\begin{{tabular}}{{{spec}}}\n\\toprule\n{line(columns)}\n\\midrule"
    return f"{head}\n{body}\n\\bottomrule\n\\end{{tabular}}"


def _rich(columns: list[str], cells: list[list[str]], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(_is_number(row[index]) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(value, style=_STYLES.get(value, "")) for value in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width; do not break lines at 80 columns there
        console = Console(width=200)
    console.print(table)


def _is_number(text: str) -> bool:
    head = text.split(" ")[0].replace(",", "").replace("−", "-")
    try:
        float(head)
    except ValueError:
        return text in ("", "–")
    return True
