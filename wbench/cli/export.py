"""``wbench export``, ``wbench ingest`` and ``wbench card``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wbench.cli.location import location
from wbench.errors import SpecError, UnknownNameError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wbench.dataset.reader import Dataset

__all__ = ["card", "export", "ingest"]

_FORMATS = "hdf5, mat or npz [default: what the layout's public code opens; hdf5 for ours]."
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("path", type=location)
@click.option("--format", "file_format", metavar="F", help=_FORMATS)
@click.option("--layout", default="wbench", show_default=True, help="wbench, wifo, csinet, contrawimae or lwm.")
@click.option("--out", type=_PATH, help="The file [default: RECIPE-SIZE-LAYOUT.SUFFIX here].")
@click.option("--task", help="Export one part of this task's split.")
@click.option("--part", help="train, val or test, with --task.")
@click.option("--samples", metavar="START:STOP", help="Export these samples only.")
@click.option("--array", help="Channel array of a foreign layout [default: channel].")
@click.option("--time", type=int, help="One snapshot, for layouts without time.")
@click.option("--rx", type=int, help="One receive antenna, for layouts without them.")
@click.option("--normalise", metavar="N", help="none or sample (unit rms) [default: as the layout's public data are].")
def export(
    path: Path | str,
    file_format: str | None,
    layout: str,
    out: Path | None,
    task: str | None,
    part: str | None,
    samples: str | None,
    **options: Any,
) -> None:
    """Write the dataset at PATH as one HDF5, MATLAB or NPZ file.

    The layout wbench holds every array. The others hold the channel as public code of that name reads it, unchanged:
    wifo (X_val), csinet (HT), contrawimae (channels), lwm (channels, 32 x 32).
    """
    from wbench.dataset.export import export_dataset
    from wbench.dataset.reader import open_dataset
    from wbench.run.progress import progress

    dataset = open_dataset(path)
    ids = _ids(dataset, task, part, samples)
    with progress(f"export to {layout}", 100, "%") as advance:
        report = export_dataset(
            dataset, out, layout=layout, file_format=file_format, ids=ids, advance=_percent(advance), **options
        )
    click.echo(f"{report.path}: {report.samples:,} samples, {report.format}")
    for name, (dtype, shape) in report.variables.items():
        click.echo(f"  {name:<20} {dtype:<10} {' × '.join(map(str, shape))}")


def _percent(advance: Any) -> Any:
    """Rows done to whole percents: the total is known only to the export."""
    state = {"done": 0, "shown": 0}

    def step(rows: int, total: int) -> None:
        state["done"] += rows
        percent = 100 * state["done"] // max(1, total)
        if percent > state["shown"]:
            advance(percent - state["shown"], "")
            state["shown"] = percent

    return step


def _ids(dataset: Dataset, task: str | None, part: str | None, samples: str | None) -> npt.NDArray[np.int64] | None:
    import numpy as np

    if (task is None) != (part is None) or (task is not None and samples is not None):
        raise UsageError(
            "Choose samples by --task and --part together, or by --samples.",
            next_step="--task NAME --part train|val|test, or --samples START:STOP",
        )
    if samples is not None:
        first, colon, last = samples.partition(":")
        try:
            start, stop = int(first or 0), int(last) if last else len(dataset)
        except ValueError:
            colon = ""
        if not colon or not 0 <= start < stop <= len(dataset):
            why = f"{samples!r}; the dataset has samples 0 to {len(dataset) - 1}"
            raise UsageError("That is no range of samples.", why=why, next_step="--samples START:STOP")
        return np.arange(start, stop, dtype=np.int64)
    return None if task is None or part is None else _part(dataset, task, part)


def _part(dataset: Dataset, name: str, part: str) -> npt.NDArray[np.int64]:
    from wbench.dataset.spec import load_recipe
    from wbench.run.plan import find_dataset
    from wbench.task.base import family_class
    from wbench.task.spec import load_spec

    spec = load_spec(name)
    views = {str(key): key for key in spec.views}
    if part not in views:
        raise UnknownNameError("part", part, views, next_step=f"--part {'|'.join(views)}")
    recipe, own, size = spec.views[views[part]].recipe, dataset.spec.recipe, dataset.spec.size
    names = {given: load_recipe(given).name for given in spec.recipes}  # a view may name a recipe's file
    if names[recipe] != own:
        raise SpecError(
            f"The {part} part of {name!r} lies in another dataset.",
            where=str(dataset.path),
            why=f"this one is {own!r}, the task takes {names[recipe]!r}",
            next_step=f"wbench generate {recipe} --size {size}",
        )
    datasets = {given: dataset if names[given] == own else find_dataset(given, size) for given in spec.recipes}
    return family_class(spec)(spec, datasets).ids(views[part])


@click.command()
@click.argument("kind")
@click.argument("source", type=_PATH)
@click.option("--out", type=location, required=True, help="Dataset folder or URL.")
@click.option("--variable", help="Variable to read, where the file holds several.")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the file, as its source states it.")
def ingest(kind: str, source: Path, out: Path | str, variable: str | None, licence: str) -> None:
    """Read a released file (KIND: wifo or csinet) at SOURCE into a dataset.

    What the file does not say is marked unknown. Run the same command again to carry on after a stop.
    """
    from wbench.dataset.ingest import ingest as run
    from wbench.run.progress import progress

    with progress(f"ingest {source.name}", 100, "%") as advance:
        report = run(kind, source, out, variable=variable, licence=licence, advance=_percent(advance))
    dataset = report.open()
    click.echo(f"{report.path}: {len(dataset):,} samples, {report.made} shards made, {report.kept} kept")
    click.echo(f"unknown {', '.join(dataset.attributes['unknown'])}")
    click.echo(f"spec    {dataset.spec.digest}\ncontent {dataset.content_digest}")


@click.command()
@click.argument("path", type=location)
@click.option("--format", "format_", type=click.Choice(["md", "croissant"]), default="md", help="What to write.")
@click.option("--out", type=_PATH, help="Write to this file instead of the terminal (PATH/croissant.json …).")
@click.option("--url", help="Croissant: where it is published.")
@click.option("--published", metavar="YYYY-MM-DD", help="Croissant: when.")
@click.option("--creator", help="Croissant: by whom.")
def card(path: Path | str, format_: str, out: Path | None, **about: str | None) -> None:
    """Dataset card of PATH: Markdown for people, or MLCommons Croissant JSON-LD for machines."""
    from wbench.dataset.card import croissant, markdown_card, write_card
    from wbench.dataset.reader import open_dataset

    dataset = open_dataset(path)
    if format_ == "md":
        if any(value is not None for value in about.values()):
            raise UsageError("--url, --published and --creator go into Croissant.", next_step="--format croissant")
        text = markdown_card(dataset)
    else:
        text = json.dumps(croissant(dataset, **about), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    write_card(text, out)
    click.echo(f"{out}: {len(text.encode()):,} bytes")
