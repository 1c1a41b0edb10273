"""``wbench evaluate`` and ``wbench score``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wbench.cli.tables import format_option, show_table
from wbench.errors import SpecError, UsageError

if TYPE_CHECKING:
    from wbench.result import Result, Score
    from wbench.run.evaluate import EvaluationReport
    from wbench.run.forecast import Forecast

__all__ = ["evaluate", "result_rows", "score"]

#: The budgets that each task ranks.
RANKED = "ranked"


@click.command()
@click.option(
    "--model", "models", multiple=True, metavar="M", help="Name, module:Class, ./file.py:Class or a model folder."
)
@click.option("--encoder", "encoders", multiple=True, metavar="M", help="Feedback: the half at the UE, with --decoder.")
@click.option(
    "--decoder", "decoders", multiple=True, metavar="M", help="The half at the base station (repeat: all pairs)."
)
@click.option("--task", "tasks", multiple=True, metavar="T", help="Task instance (repeat for several).")
@click.option("--suite", help="All tasks of a suite.")
@click.option("--size", default="standard", show_default=True, help="tiny, standard or large.")
@click.option(
    "--head",
    multiple=True,
    default=("linear",),
    show_default=True,
    help="Head of embedders: linear, knn, mlp, resnet1d-slim, -wide (repeat for several).",
)
@click.option(
    "--regime",
    multiple=True,
    type=click.Choice(["head", "fine-tune", "full"]),
    default=("head",),
    show_default=True,
    help="Embedders stay frozen under the head, are tuned with it, or start from random weights (repeat for several).",
)
@click.option("--layers", type=int, metavar="N", help="Fine-tune the last N layers only [default: all].")
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="P",
    help="Training budget in percent, or 'ranked': those that each task ranks [default: 100; of a suite: ranked].",
)
@click.option("--shots", multiple=True, type=int, metavar="K", help="Few-shot: K training samples of every class.")
@click.option("--draws", type=int, help="Draws of each budget [default: 5 below 25 %, 10 of few-shot parts].")
@click.option("--seeds", type=int, default=1, show_default=True, help="Training seeds of stochastic models and heads.")
@click.option("--season", default="", metavar="NAME", help="Test on the hidden dataset of a season.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Results.")
@click.option("--no-predictions", is_flag=True, help="Keep scores only: little disk, but nobody can score them again.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Worker processes [default: 1].")
@click.option("--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler do it (tcp://HOST:8786).")
@click.option(
    "--cache-gib",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Most disk for features of frozen embedders, in $WBENCH_CACHE or OUT/.cache; 0 keeps none.",
)
@format_option
def evaluate(
    models: tuple[str, ...],
    encoders: tuple[str, ...],
    decoders: tuple[str, ...],
    tasks: tuple[str, ...],
    suite: str | None,
    format_: str,
    **options: Any,
) -> int:
    """Score models on tasks. Finished results are kept; run the same command again to carry on.

    Several heads, regimes, budgets, draws and seeds make one result each. Results do not depend on the workers.
    """
    from wbench.run.evaluate import evaluate as run

    if (suite is None) == (not tasks):
        raise UsageError("Name either tasks or a suite.", next_step="--task NAME or --suite NAME; wbench list tasks")
    if options["dask"] is not None and options["workers"] is not None:
        raise UsageError("With --dask the cluster's workers do the work.", next_step="leave --workers out")
    models = (*models, *_pairs(encoders, decoders))
    if not models:
        step = "--model NAME (wbench list models), or --encoder … --decoder …"
        raise UsageError("Name a model, or an encoder and a decoder.", next_step=step)
    names = _suite_tasks(suite) if suite is not None else tasks
    if suite is not None and not options["budgets"] and not options["shots"]:
        options["budgets"] = (RANKED,)
    given = {name: value for name, value in options.items() if name not in ("workers", "cache_gib", "no_predictions")}
    given |= {"workers": options["workers"] or 1, "cache_bytes": int(options["cache_gib"] * (1 << 30))}
    given |= {"budgets": _budgets(options["budgets"]), "predictions": not options["no_predictions"]}
    report = run(models, names, show_progress=True, on_plan=_say, **given)
    for task in dict.fromkeys(cell.task for cell in report.cells):
        cells = [cell for cell in report.cells if cell.task == task]
        found = [cell.result for cell in cells if cell.result is not None]
        rows = result_rows(found, chosen=format_ in ("json", "csv"))
        if rows:
            show_table(rows, format_, title=task)
    _explain(report)
    if report.failures:
        bad, count = len(report.failures), len(report.cells)
        kept = ", the others are kept" if bad < count else ""
        click.echo(f"{bad} of {count} cell{'s' * (count != 1)} failed{kept}. Retry:", err=True)
        click.echo(f"  {_retry_command(report, names, options)}", err=True)
    return report.exit_code


def _suite_tasks(name: str) -> tuple[str, ...]:
    from wbench.task.spec import load_suite

    suite = load_suite(name)
    changed = suite.changed()
    if changed:
        why = f"no longer what was frozen: {', '.join(changed)}"
        step = "give what changed a new version, in a suite of a new name"
        raise SpecError("The tasks of a frozen suite never change.", where=name, why=why, next_step=step)
    return suite.tasks


def _budgets(words: tuple[str, ...]) -> tuple[float, ...] | str:
    if words == (RANKED,):
        return RANKED
    try:
        return tuple(map(float, words))
    except ValueError as error:
        why = f"got {', '.join(words)}"
        raise UsageError("A budget is a percentage, or 'ranked' alone.", why=why, next_step="--budget 10") from error


def _pairs(encoders: Sequence[str], decoders: Sequence[str]) -> list[str]:
    """Every encoder with every decoder."""
    from wbench.two_sided import pair

    if bool(encoders) != bool(decoders):
        one, other = ("an encoder", "--decoder") if encoders else ("a decoder", "--encoder")
        raise UsageError(f"There is {one} alone.", next_step=f"name its other half with {other}")
    return [pair(encoder, decoder) for encoder in encoders for decoder in decoders]


def _say(forecast: Forecast) -> None:
    """Runs, time and disk, before anything runs."""
    click.echo(str(forecast), err=True)


def _retry_command(report: EvaluationReport, names: Sequence[str], options: dict[str, Any]) -> str:
    """The command for what failed and nothing else: finished results are kept."""
    from wbench.task.spec import load_spec

    failed = {cell.task for cell in report.failures}
    words = ["wbench", "evaluate"]
    for model in dict.fromkeys(cell.cell.model for cell in report.failures):
        words += ["--model", model]
    for name in names:
        words += ["--task", str(name)] if load_spec(name).name in failed else []
    for option in click.get_current_context().command.params:
        value = options.get(option.name or "")
        if value is True:
            words.append(option.opts[0])
        elif value not in (None, option.default) and value is not False:
            for one in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0], str(one)]
    return shlex.join(words)


def _explain(report: EvaluationReport) -> None:
    """Failures one by one; what does not apply, or was kept though its code is newer, once per model and reason."""
    for cell in report.failures:
        click.secho(f"failed: {cell.cell.model} on {cell.task}\n  {cell.reason}", fg="red", err=True)
    told: dict[tuple[str, str, str], list[str]] = {}
    for cell in report.cells:
        if cell.status == "not applicable" or (cell.status == "kept" and cell.reason):
            told.setdefault((cell.status, cell.cell.model, cell.reason), []).append(cell.task)
    for (status, model, reason), tasks in told.items():
        where = f"{model} on {', '.join(dict.fromkeys(tasks))}: {reason}"
        if status == "kept":
            step = "if its answers changed, declare another revision; --out NEW makes them again"
            click.secho(f"kept: {where}\n  {step}", fg="yellow", err=True)
        else:
            click.echo(f"n/a: {where}", err=True)


def show_score(score: Score) -> str:
    """Value and 95 % interval: ``-12.31 [-12.9, -11.7] dB``."""
    span = f" [{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else ""
    return f"{score.value:.3f}{span} {score.unit}".rstrip()


def _regime(result: Result) -> str:
    """``fine-tune last 2 linear``."""
    layers = f"last {result.layers}" if result.layers is not None else ""
    return " ".join(part for part in (result.regime, layers, result.head) if part)


def _parameters(result: Result) -> str:
    """``798k, 258 trained``; a dash where the notion does not apply."""
    count, trained = result.model.parameters, result.model.trained_parameters
    if not count:
        return "–"
    return _short(count) + (f", {_short(trained)} trained" if trained not in (None, count) else "")


def _short(count: int | None) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if count is not None and count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def result_rows(results: list[Result], *, chosen: bool = False) -> list[dict[str, Any]]:
    """Table rows of results of one task, best first; with what was chosen on validation if asked for."""
    results = sorted(
        results, key=lambda r: r.primary().value, reverse=bool(results and results[0].primary().higher_is_better)
    )
    rows = []
    for result in results:
        primary = result.primary()
        others = [s for s in result.scores if s.slice == "ranked" and s.metric != primary.metric]
        row: dict[str, Any] = {
            "model": result.model.name,
            "regime": _regime(result),
            "budget": f"{result.budget_percent:g} %" if result.shots is None else f"{result.shots}-shot",
            primary.metric: show_score(primary),
            "n": primary.n,
        }
        if result.cost.payload_bits_max is not None:
            row["bits"] = result.cost.payload_bits_max
        row |= {s.metric: f"{s.value:.3f}" for s in others[:4]}
        row["parameters"] = _parameters(result)
        row["time"] = f"{result.cost.fit_s + result.cost.predict_s:.1f} s"
        if chosen:
            row["chosen"] = ", ".join(f"{name} = {value}" for name, value in result.model.chosen.items())
        rows.append(row)
    return rows


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--task", help="The task's .toml file, if it is not a registered instance.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
@format_option
def score(result: Path, task: str | None, data: Path | None, format_: str) -> int:
    """Recompute the scores of RESULT (a result.json or its folder) from its predictions."""
    from wbench.run.score import score as run

    stored, scores = run(result, task=task, data=data)
    rows = []
    worst = 0.0
    for new in scores:
        old = stored.score(new.metric, new.slice)
        difference = abs(new.value - old.value) if old is not None else float("inf")
        worst = max(worst, difference)
        rows.append(
            {
                "metric": new.metric,
                "slice": new.slice,
                "n": new.n,
                "recomputed": show_score(new),
                "stored": show_score(old) if old else "–",
                "difference": f"{difference:.1e}",
            }
        )
    show_table(rows, format_, title=f"{stored.model.name} on {stored.task.name}")
    if worst > 1e-6:
        click.secho(f"The stored scores differ from the recomputed ones by up to {worst:.1e}.", fg="red", err=True)
        return 1
    return 0
