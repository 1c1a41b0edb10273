"""``wbench train``: fit one model and show what it chose on validation, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wbench.cli.tables import format_option, show_table

if TYPE_CHECKING:
    from wbench.run.train import SearchRecord, TuningRecord

__all__ = ["train", "trial_rows"]


@click.command()
@click.argument("model")
@click.option("--task", required=True, metavar="T", help="Task instance.")
@click.option("--size", default="standard", show_default=True, help="tiny, standard or large.")
@click.option("--head", default="linear", show_default=True, help="Head of an embedder.")
@click.option("--budget", type=float, default=100.0, show_default=True, metavar="P", help="Training budget in percent.")
@click.option("--draw", type=int, default=0, show_default=True, help="Draw of the budget.")
@click.option("--seed", type=int, default=0, show_default=True, help="Training seed.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Write tuning.json there, and a network."
)
@format_option
def train(model: str, task: str, format_: str, **options: Any) -> int:
    """Fit MODEL (name, module:Class, ./file.py:Class or folder) to a task and show what it chose on validation.

    The fit is the one of `wbench evaluate` with the same budget, draw and seed; the test part is not looked at.
    """
    from wbench.run.train import train as run

    training = run(model, task, **options)
    record = training.record
    if format_ in ("json", "csv"):  # one document, whatever there is in it
        show_table(_joined([trial_rows(search) for search in record.searches]), format_)
    else:
        for search in record.searches:
            click.echo(_title(record, search))
            show_table(trial_rows(search), format_)
    if not record.searches:
        why = "it chooses nothing on validation" if record.model.trains else "it does not train"
        click.echo(f"{record.model.name} compares no configurations: {why}.", err=True)
    click.echo(_summary(record), err=True)
    if training.path is not None:
        click.echo(f"wrote {training.path}", err=True)
        if training.saved:
            click.echo(f"saved the model; use it as --model {training.path.parent}", err=True)
    return 0


def trial_rows(search: SearchRecord) -> list[dict[str, Any]]:
    """Table rows of a search in the order of trying; the chosen one is marked."""
    return [
        {
            **trial.values,
            search.criterion: None if trial.score is None else round(trial.score, 4),
            "chosen": "yes" if index == search.chosen else "",
        }
        for index, trial in enumerate(search.trials)
    ]


def _joined(tables: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of all searches, numbered if there are several, with the columns of all."""
    columns = dict.fromkeys(name for rows in tables for row in rows for name in row)
    return [
        ({"search": number} if len(tables) > 1 else {}) | {name: row.get(name) for name in columns}
        for number, rows in enumerate(tables, start=1)
        for row in rows
    ]


def _title(record: TuningRecord, search: SearchRecord) -> str:
    better = "larger is better" if search.higher_is_better else "smaller is better"
    on = record.n_val if search.samples is None else min(search.samples, record.n_val)
    return f"{record.model.name} on {record.task.name}: {search.criterion} on {on} validation samples, {better}"


def _summary(record: TuningRecord) -> str:
    chosen = ", ".join(f"{name} = {value}" for name, value in record.model.chosen.items())
    fit = f"fitted in {record.fit_s:.1f} s to {record.n_train} training and {record.n_val} validation samples"
    return f"{fit}; chosen: {chosen}" if chosen else fit
