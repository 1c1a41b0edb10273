"""Pre-training of a foundation model on the training sides of tasks; the outcome is a folder that loads as a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wbench.errors import MissingError, OutputConflictError, UsageError
from wbench.model_folder import FILE
from wbench.run.model_folder import CARD, WEIGHTS, Outcome, write_folder
from wbench.run.pretrain_config import PretrainConfig, load_config, pretext_of
from wbench.run.pretrain_data import Pool, load_pool, unclean_tasks
from wbench.seeding import rng

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from wbench.training import Progress, TrainingLog
    from wbench.training.pretext import Pretext

__all__ = ["CHECKPOINT", "Pretraining", "pretrain"]

CHECKPOINT = "checkpoint.safetensors"
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Pretraining:
    """What a pre-training gave: the folder, the history, and how long this call took."""

    folder: Path
    config: PretrainConfig
    log: TrainingLog
    parameters: int
    seconds: float


def pretrain(
    config: str | Path | PretrainConfig,
    out: str | Path,
    *,
    seed: int | None = None,
    size: str = "standard",
    data: str | Path | None = None,
    device: Device = "auto",
    threads: int | None = 1,
    checkpoint_every_s: float = 180.0,
    on_start: Callable[[Pool, nn.Module, str], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Pretraining:
    """Pre-train a model and write its folder: ``model.toml``, ``model.safetensors``, ``README.md``.

    Parameters
    ----------
    config : str, Path or PretrainConfig
        Name of a preset, or a ``.toml`` file.
    out : path
        Folder of the model; a checkpoint in it is carried on from, and removed when the model is written.
    seed : int, optional
        Root of initial weights, order, masks and noise, instead of the config's. The samples stay the same.
    size : {"tiny", "standard", "large"}
        Size of the datasets.
    data : path, optional
        Data folder; default ``$WBENCH_DATA`` or ``./data``.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU if there is one. Mixed precision and compilation are for a GPU only.
    threads : int or None
        CPU threads; the weights are the same bits for the same number on one kind of machine, however often the
        training was interrupted.
    checkpoint_every_s : float
        Seconds between checkpoints.
    on_start, on_progress : callable, optional
        Called once with samples, network and device; called after each step.

    Raises
    ------
    SpecError, UnknownNameError, PluginError
        The config, a task or the pretext is wrong.
    DatasetNotFoundError
        A dataset has not been generated.
    ModelError
        The training diverged, or the checkpoint is another training's.
    OutputConflictError
        The folder holds a model already, or other files.
    ResultError
        A file cannot be written.
    """
    found = config if isinstance(config, PretrainConfig) else load_config(config)
    if seed is not None:
        found = found.model_copy(update={"seed": seed})
    folder = Path(out)
    _check_folder(folder)
    pretext = pretext_of(found)
    pool = load_pool(found.sources, pretext.reads, size=size, data=data)
    began = time.perf_counter()
    network, log, place = _train(
        found, pretext, pool, folder / CHECKPOINT, device, threads, checkpoint_every_s, on_start, on_progress
    )
    seconds = time.perf_counter() - began
    outcome = Outcome(
        config=found,
        model=pretext.model,
        params=pretext.model_params(),
        state={name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
        sources=[source.record() for source in pool.sources],
        unclean=unclean_tasks(pool),
        log=log,
        seconds=seconds,
        device=place,
    )
    parameters = write_folder(folder, outcome)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return Pretraining(folder, found, log, parameters, seconds)


def _check_folder(folder: Path) -> None:
    """Refuse to write over a model or into other people's files."""
    if folder.exists() and not folder.is_dir():
        raise OutputConflictError("The output is a file, not a folder.", where=str(folder))
    if (folder / FILE).exists():
        step = "name another folder, or remove this one"
        raise OutputConflictError("The folder holds a model already.", where=str(folder), next_step=step)
    # A card is written after the weights: one that lies there without them is somebody else's README.
    ours = {CHECKPOINT, WEIGHTS, CARD} if (folder / WEIGHTS).exists() else {CHECKPOINT}
    if folder.exists() and any(p.name not in ours and not p.name.startswith(".") for p in folder.iterdir()):
        raise OutputConflictError("The folder holds other files.", where=str(folder), next_step="name an empty folder")


def _device(wanted: Device) -> str:
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError("A device is auto, cpu or cuda.", why=f"got {wanted!r}")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise MissingError("There is no GPU that PyTorch can use.", next_step="--device cpu")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def _train(
    config: PretrainConfig,
    pretext: Pretext,
    pool: Pool,
    checkpoint: Path,
    device: Device,
    threads: int | None,
    every_s: float,
    on_start: Callable[[Pool, nn.Module, str], None] | None,
    on_progress: Callable[[Progress], None] | None,
) -> tuple[nn.Module, TrainingLog, str]:
    import torch

    from wbench.training.loop import seeded, train

    place = _device(device)
    network = seeded(pretext.build, config.seed, "pre-training weights").to(place)
    called: nn.Module = torch.compile(network, dynamic=True) if config.training.compile and place == "cuda" else network  # type: ignore[assignment]
    order = rng(config.seed, "pre-training hold-out").permutation(len(pool)).astype(np.int64)
    held = round(config.holdout * len(pool))
    unseen, seen = np.sort(order[:held]), np.sort(order[held:])
    if on_start is not None:
        on_start(pool, network, place)

    def loss(rows: Any, generator: torch.Generator) -> Tensor:
        return _pooled(pretext, called, pool, seen[rows], generator, place)

    def validate() -> float:
        total = 0.0
        for start in range(0, len(unseen), config.training.batch):
            rows = unseen[start : start + config.training.batch]
            # The same masks and noise after every epoch: losses are compared.
            generator = torch.Generator(place).manual_seed(start)
            total += len(rows) * float(_pooled(pretext, called, pool, rows, generator, place))
        return total / len(unseen)

    log = train(
        network,
        len(seen),
        loss,
        config.training.settings(place),
        config.seed,
        validate=validate if len(unseen) else None,
        on_progress=on_progress,
        checkpoint=checkpoint,
        checkpoint_every_s=every_s,
        threads=threads,
        identity={"config": config.digest, "sources": [source.record() for source in pool.sources]},
    )
    return network, log, place


def _pooled(
    pretext: Pretext, network: nn.Module, pool: Pool, rows: Any, generator: torch.Generator, device: str
) -> Tensor:
    """Mean loss over rows of several sources."""
    import torch

    parts = []
    for arrays in pool.take(rows):
        batch = {name: torch.from_numpy(values).to(device) for name, values in arrays.items()}
        share = len(next(iter(batch.values()))) / len(rows)
        parts.append(share * pretext.loss(network, batch, generator))
    return torch.stack(parts).sum()
