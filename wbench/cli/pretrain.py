"""``wbench pretrain``: a foundation model from the training sides of tasks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import nn

    from wbench.run.pretrain_data import Pool
    from wbench.training import Progress

__all__ = ["pretrain"]


@click.command()
@click.argument("config", metavar="CONFIG")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder of the model.")
@click.option("--seed", type=click.IntRange(0), help="Another training on the same samples [default: the config's].")
@click.option("--size", default="standard", show_default=True, help="Size of the datasets: tiny, standard or large.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder [default: $WBENCH_DATA or ./data].")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: a GPU if there is one. Mixed precision and compilation are for a GPU only.",
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
@click.option(
    "--checkpoint-minutes", type=click.FloatRange(min=0), default=3.0, show_default=True, help="Between checkpoints."
)
@click.option("--every", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds between lines.")
def pretrain(config: str, out: Path, checkpoint_minutes: float, every: float, **options: Any) -> int:
    """Pre-train a model by CONFIG, a preset's name or a .toml file.

    Stop it whenever you like; the same command carries on from the last checkpoint and ends with the same weights.
    """
    from wbench.run.pretrain import CHECKPOINT
    from wbench.run.pretrain import pretrain as run

    if (out / CHECKPOINT).exists():
        click.echo(f"carrying on from {out / CHECKPOINT}", err=True)
    reporter = _Reporter(every)
    hooks: dict[str, Any] = {"on_start": _started, "on_progress": reporter}
    done = run(config, out, checkpoint_every_s=60 * checkpoint_minutes, **hooks, **options)
    best = done.log.epochs[done.log.best_epoch - 1]
    held = "" if best.val_loss is None else f", held out {best.val_loss:.4f}"
    click.echo(
        f"{done.config.name}: {done.parameters:,} parameters, epoch {best.epoch} of {len(done.log.epochs)}, "
        f"loss {best.loss:.4f}{held}, {done.seconds:.0f} s",
        err=True,
    )
    click.echo(f"wrote {done.folder}    (wbench evaluate --model {_as_model(done.folder)} --task TASK)", err=True)
    return 0


def _as_model(folder: Path) -> str:
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _started(pool: Pool, network: nn.Module, device: str) -> None:
    count = sum(weight.numel() for weight in network.parameters())
    click.echo(f"{len(pool):,} samples, {count:,} parameters, {device}", err=True)
    for source in pool.sources:
        left = f", {source.avoided:,} left out" if source.avoided else ""
        recipe = source.task.dataset("train").spec.recipe
        click.echo(f"  {recipe}, training side of {source.task.spec.name}: {len(source.ids):,}{left}", err=True)


class _Reporter:
    """A line with loss, learning rate and speed every few seconds, and at the end of every epoch."""

    def __init__(self, every: float) -> None:
        self.every, self.last = every, time.monotonic()
        self.begun: tuple[float, int] | None = None

    def __call__(self, at: Progress) -> None:
        now = time.monotonic()
        began, first = self.begun = self.begun or (now, at.step)
        ended = at.step % max(1, at.steps // at.epochs) == 0
        if now - self.last < self.every and not ended:
            return
        self.last = now
        from wbench.run.forecast import duration

        held = "" if at.val_loss is None else f"  held out {at.val_loss:.4f}"
        left_s = (at.steps - at.step) * (now - began) / max(at.step - first, 1)
        left = "" if at.step == first else f", {duration(left_s)} left"
        click.echo(
            f"epoch {at.epoch}/{at.epochs}  step {at.step}/{at.steps}  loss {at.loss:.4f}{held}  rate {at.lr:.2e}  "
            f"{at.samples_per_s:,.0f} samples/s  {100 * at.step / at.steps:.0f} %{left}",
            err=True,
        )
