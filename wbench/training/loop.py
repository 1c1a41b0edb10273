"""One loop for heads, task networks and pre-training: AdamW, warm-up and cosine, early stop, exact resume.

Nothing in it hangs on what ran before. The order of an epoch is keyed by (seed, epoch) and every step starts PyTorch's
generators anew from (seed, step), so a training that carries on from a checkpoint, in the middle of an epoch as well,
ends with the same bits as one that was never stopped. PyTorch's own random state is as before afterwards.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.errors import ModelError
from wbench.seeding import rng, seed_sequence
from wbench.training.checkpoint import load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from wbench.training.kept import next_checkpoint
from wbench.training.settings import TrainingSettings

__all__ = ["EpochRecord", "Loss", "Progress", "Rows", "TrainingLog", "seeded", "train"]

Rows = npt.NDArray[np.int64]
#: Mean loss over the training samples with these row numbers; random numbers from the generator.
Loss = Callable[[Rows, torch.Generator], Tensor]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training is, after each step.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        Finished steps of all, and the epoch (from 1) that the last one belongs to.
    loss : float
        Mean over the epoch so far.
    val_loss : float or None
        Of the last finished epoch.
    lr : float
        Peak group's learning rate of the step.
    samples_per_s : float
        Since this call began.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    val_loss: float | None
    lr: float
    samples_per_s: float


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch gave; ``lr`` is that of its last step."""

    epoch: int
    loss: float
    val_loss: float | None
    lr: float


@dataclass
class TrainingLog:
    """History of a training; the module holds the weights of ``best_epoch`` (the last one without validation)."""

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_val_loss: float | None = None
    stopped_early: bool = False


def seeded(build: Callable[[], Network], seed: int, purpose: str) -> Network:
    """A module whose random initial weights hang on (seed, purpose) only; PyTorch's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_number(seed, purpose))
        return build()


def train(
    module: nn.Module,
    count: int,
    loss: Loss,
    settings: TrainingSettings,
    seed: int,
    *,
    validate: Callable[[], float] | None = None,
    groups: Sequence[tuple[Iterable[nn.Parameter], float]] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every_s: float = 180.0,
    threads: int | None = 1,
    identity: Mapping[str, Any] | None = None,
) -> TrainingLog:
    """Train a module in place.

    Parameters
    ----------
    module : nn.Module
        On the device it is to be trained on. Ends in eval mode with the best weights of all epochs.
    count : int
        Number of training samples.
    loss : callable
        ``loss(rows, generator)``: mean loss of the samples with these row numbers (int64 [b]).
    settings : TrainingSettings
        Epochs, batch size, learning rate, when to stop.
    seed : int
        Order of the samples and random numbers of the steps.
    validate : callable, optional
        Validation loss, lower is better; called after each epoch in eval mode without gradients. The weights with the
        lowest value are kept.
    groups : sequence of (parameters, factor), optional
        What is trained, and its learning rate over ``settings.lr``; by default all that requires a gradient, 1.
    on_progress : callable, optional
        Called after each step.
    checkpoint : Path, optional
        Written every ``checkpoint_every_s`` seconds, between steps, and at the end; if it is there, training carries
        on from it. By default where :func:`wbench.training.kept.checkpoints_in` says, else none.
    threads : int or None
        CPU threads of PyTorch meanwhile; None leaves them. Bits are reproducible for a fixed number only.
    identity : mapping, optional
        What else makes this training this one (its data, as plain JSON values): a checkpoint of another is refused.

    Returns
    -------
    TrainingLog
        Loss, validation loss and learning rate of each epoch.

    Raises
    ------
    ModelError
        If a loss or gradient is not finite, nothing is to be trained, or the checkpoint is another training's.
    """
    if count < 1:
        raise ModelError("There are no training samples.", where="training")
    kept = next_checkpoint() if checkpoint is None else None
    if kept is not None:
        checkpoint, checkpoint_every_s = kept.path, kept.every_s
        identity = {**kept.identity, **(identity or {})}
    with _threads(threads), torch.random.fork_rng(devices=_cuda(module)):
        run = _Run(module, count, settings, seed, groups, checkpoint, identity)
        run.resume()
        run.all_epochs(loss, validate, on_progress, checkpoint_every_s)
    module.eval()
    return run.log


class _Run:
    """State of one training: what a checkpoint holds."""

    def __init__(
        self,
        module: nn.Module,
        count: int,
        settings: TrainingSettings,
        seed: int,
        groups: Sequence[tuple[Iterable[nn.Parameter], float]] | None,
        checkpoint: Path | None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.module, self.count, self.settings, self.seed = module, count, settings, seed
        self.about = json.loads(json.dumps(dict(identity or {})))  # as a checkpoint gives it back: lists, no tuples
        self.checkpoint = checkpoint
        self.optimizer = _optimizer(module, settings, groups)
        self.per_epoch = settings.steps_per_epoch(count)
        self.steps = settings.epochs * self.per_epoch
        self.step = 0  # finished steps
        self.total, self.seen = 0.0, 0  # sum of the losses of the running epoch's samples, and their number
        self.log = TrainingLog()
        self.best: dict[str, Tensor] | None = None
        self.device = next(module.parameters()).device

    def all_epochs(
        self,
        loss: Loss,
        validate: Callable[[], float] | None,
        on_progress: Callable[[Progress], None] | None,
        every_s: float,
    ) -> None:
        began = saved = time.perf_counter()
        samples = 0
        while self.step < self.steps and not self.log.stopped_early:
            epoch, place = divmod(self.step, self.per_epoch)
            order = rng(self.seed, "training order", epoch).permutation(self.count).astype(np.int64)
            self.module.train()
            for rows in np.array_split(order, self.per_epoch)[place:]:
                lr = self._one_step(rows, loss)
                samples += len(rows)
                mean = self.total / self.seen
                if self.step == (epoch + 1) * self.per_epoch:
                    self._end_epoch(epoch, lr, validate)
                if self.checkpoint is not None and time.perf_counter() - saved >= every_s:
                    self._save()
                    saved = time.perf_counter()
                if on_progress is not None:
                    last = self.log.epochs[-1].val_loss if self.log.epochs else None
                    speed = samples / max(time.perf_counter() - began, 1e-9)
                    at = (epoch + 1, self.settings.epochs, self.step, self.steps)
                    on_progress(Progress(*at, loss=mean, val_loss=last, lr=lr, samples_per_s=speed))
        if self.checkpoint is not None:
            self._save()
        if self.best is not None:
            self.module.load_state_dict(self.best)

    def _one_step(self, rows: Rows, loss: Loss) -> float:
        lr = self.settings.lr * self.settings.factor(self.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        generator = self._restart("training step", self.step)
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            value = loss(rows, generator)
        value.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.settings.clip or math.inf)
        number = float(value.detach())
        if not (math.isfinite(number) and math.isfinite(float(norm))):
            where = f"training, step {self.step + 1} of {self.steps}"
            why = f"loss {number:g}, norm of the gradient {float(norm):g}, learning rate {lr:g}"
            step = "a smaller learning rate, or inputs of unit scale"
            raise ModelError("The training diverged.", where=where, why=why, next_step=step)
        self.optimizer.step()
        self.step += 1
        self.total += number * len(rows)
        self.seen += len(rows)
        return lr

    def _end_epoch(self, epoch: int, lr: float, validate: Callable[[], float] | None) -> None:
        found: float | None = None
        if validate is not None:
            self.module.eval()
            self._restart("validation", 0)
            with torch.no_grad(), self._precision():
                found = float(validate())
            self.module.train()
            if not math.isfinite(found):
                raise ModelError("The validation loss is not finite.", where=f"training, epoch {epoch + 1}")
        log = self.log
        log.epochs.append(EpochRecord(epoch + 1, self.total / self.count, found, lr))
        self.total, self.seen = 0.0, 0
        if found is None or log.best_val_loss is None or found < log.best_val_loss:
            log.best_epoch, log.best_val_loss = epoch + 1, found
            # Without validation the last weights are the best: no copy is needed.
            self.best = None if found is None else {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        waited = epoch + 1 - log.best_epoch
        log.stopped_early = (
            self.settings.patience is not None and found is not None and waited >= self.settings.patience
        )

    def _restart(self, purpose: str, key: int) -> torch.Generator:
        """Start PyTorch's generators (dropout takes them) from this key, and one for the loss."""
        number = _number(self.seed, purpose, key)
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):  # manual_seed is the current device's, which need not be this one
                torch.cuda.manual_seed(number)
        return torch.Generator(self.device).manual_seed(number)

    def _precision(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    # --- checkpoints -----------------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        shapes = {name: list(tensor.shape) for name, tensor in self.module.state_dict().items()}
        groups = [[group["factor"], len(group["params"])] for group in self.optimizer.param_groups]
        facts = {**asdict(self.settings), "seed": self.seed, "samples": self.count, "shapes": shapes, "groups": groups}
        return {**facts, **self.about}

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        parts = {"module": self.module.state_dict(), "optimizer": optimizer_tensors(self.optimizer)}
        parts |= {} if self.best is None else {"best": self.best}
        tensors = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        facts = {"identity": self._identity(), "step": self.step, "running": [self.total, self.seen]}
        facts["log"] = asdict(self.log)
        save_checkpoint(self.checkpoint, tensors, facts)

    def resume(self) -> None:
        """Carry on from the checkpoint, if there is one."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        tensors, facts = load_checkpoint(self.checkpoint)
        mine, theirs = self._identity(), facts["identity"]
        other = [name for name in mine if mine[name] != theirs.get(name)]
        if other:
            step = "remove it to start from the beginning, or name another file"
            why = f"another {', '.join(other)}"
            where = str(self.checkpoint)
            raise ModelError("The checkpoint is of another training.", where=where, why=why, next_step=step)
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "optimizer": {}, "best": {}}
        for key, tensor in tensors.items():
            part, name = key.split("/", 1)
            parts[part][name] = tensor
        self.module.load_state_dict(parts["module"])
        restore_optimizer(self.optimizer, parts["optimizer"])
        self.best = {name: tensor.to(self.device) for name, tensor in parts["best"].items()} or None
        self.step, (self.total, self.seen) = facts["step"], facts["running"]
        epochs = [EpochRecord(**record) for record in facts["log"].pop("epochs")]
        self.log = TrainingLog(epochs, **facts["log"])


def _optimizer(
    module: nn.Module, settings: TrainingSettings, groups: Sequence[tuple[Iterable[nn.Parameter], float]] | None
) -> torch.optim.AdamW:
    chosen = [(list(parameters), factor) for parameters, factor in groups or [(module.parameters(), 1.0)]]
    found = []
    for parameters, factor in chosen:
        trained = [p for p in parameters if p.requires_grad]
        for members, decay in (
            ([p for p in trained if p.ndim >= 2], settings.weight_decay),
            ([p for p in trained if p.ndim < 2], 0.0),
        ):
            if members:
                found.append({"params": members, "weight_decay": decay, "factor": factor})
    if not found:
        raise ModelError("There is nothing to train: no parameter requires a gradient.", where="training")
    return torch.optim.AdamW(found, lr=settings.lr)


def _number(seed: int, purpose: str, *key: int) -> int:
    return int(seed_sequence(seed, purpose, *key).generate_state(1, np.uint64)[0] >> 1)


def _cuda(module: nn.Module) -> list[int]:
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    return sorted(device.index or 0 for device in devices)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
