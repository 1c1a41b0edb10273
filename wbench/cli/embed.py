"""``wbench embed``: look into an embedder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wbench.errors import UsageError

__all__ = ["embed"]


@click.command()
@click.option("--model", required=True, metavar="M", help="An embedder: name, module:Class, ./file.py:Class or folder.")
@click.option("--task", required=True, metavar="T", help="Task instance whose samples are embedded.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="PCA and t-SNE as .png, .pdf or .svg.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Features, labels and planes as .npz.")
@click.option("--part", default="test", show_default=True, type=click.Choice(["train", "val", "test"]))
@click.option("--samples", type=int, default=2000, show_default=True, help="At most so many, evenly spaced.")
@click.option("--size", default="standard", show_default=True, help="tiny, standard or large.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of t-SNE, and of an embedder that trains.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
def embed(model: str, task: str, plot: Path | None, out: Path | None, **options: Any) -> int:
    """Embed samples of a task and draw them by PCA and t-SNE, coloured by line of sight, beam, scene."""
    from wbench.run.embed import array_place, save_embedding
    from wbench.run.embed import embed as run

    if plot is None and out is None:
        raise UsageError("Say what to write.", next_step="--plot FILE.png, --out FILE.npz, or both")
    if plot is not None:
        from wbench.run.embed_figure import plot_place

        plot = plot_place(plot)
    if out is not None:
        out = array_place(out)
    embedding = run(model, task, planes=plot is not None, **options)
    count, width = embedding.features.shape
    names = ", ".join(label.name for label in embedding.labels) or "none"
    click.echo(f"{embedding.model} on {embedding.task}: {count:,} samples, {width} features; labels: {names}", err=True)
    if plot is not None:
        from wbench.run.embed_figure import plot_embedding

        click.echo(f"wrote {plot_embedding(embedding, plot)}", err=True)
    if out is not None:
        click.echo(f"wrote {save_embedding(embedding, out)}", err=True)
    return 0
