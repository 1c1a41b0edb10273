"""What the prediction networks share: training on drawn parts of samples, of one task or of several."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.errors import ModelError
from wbench.model import TrainingData
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.networks.common import Network, in_passes
from wbench_baselines.networks.grid import Grid, from_grid, grid_of, to_grid
from wbench_baselines.networks.samples import Samples, gather, noise_of
from wbench_baselines.prediction.common import filled, only_prediction

__all__ = ["Drawing", "GridPredictor", "by_power", "outputs"]

#: Share of the training draws that go by power; the others are even.
BY_POWER = 0.7
#: Validation samples: at most so many, evenly spaced.
HELD = 400


class Drawing(Protocol):
    """Samples of which a training step sees drawn parts."""

    def loss(self, module: nn.Module, rows: Tensor, generator: torch.Generator, held: bool) -> Tensor:
        """Sum over the rows of the squared error over the energy that counts, estimated from drawn parts.

        The estimate is right on average: a part's error is divided by the chance that it is drawn. ``held`` draws more.
        """
        ...


class GridPredictor(Network):
    """A network that continues channels in the angle-delay domain.

    Its answer is added to the last step seen, and its last layer starts at zero: untrained, it holds.
    """

    samples_per_pass: ClassVar[int] = 4
    #: The only dimension that it predicts over, if there is only one.
    axis: ClassVar[str | None] = None

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction, over time or frequency; with given weights, of as many steps as they are for."""
        refused = only_prediction(spec, self.axis)
        if refused or not self.params:
            return refused
        mine = self.params["shape"]["seen"], self.params["shape"]["ahead"]
        asked = spec.params.get("past", mine[0]), spec.params.get("future", mine[1])
        return (
            None if mine == asked else f"its weights are for {mine[0]} → {mine[1]} steps, not {asked[0]} → {asked[1]}"
        )

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Fill in the weights, if any are given."""
        super().setup(spec, meta)
        self.restore()

    @abstractmethod
    def network(self, seen: int, ahead: int) -> nn.Module:
        """The module for so many seen and open steps."""

    @abstractmethod
    def drawing(self, samples: Samples) -> Drawing:
        """How samples are drawn from."""

    @abstractmethod
    def continued(self, past: Tensor, noise: Tensor, grid: Grid) -> Tensor:
        """Open steps complex64 [n, ahead, bins] of seen ones [n, seen, bins], on the device."""

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Train on ``train``; keep the weights of the epoch that is best on ``val``.

        Raises
        ------
        ModelError
            The training part is empty, or the training diverges.
        """
        self.fit_many([(train, val)], seed)

    def fit_many(self, parts: Sequence[tuple[TrainingData, TrainingData]], seed: int) -> None:
        """Train one network on several tasks with as many seen and open steps each; their grids may differ.

        Raises
        ------
        ModelError
            A training part is empty, numbers of steps differ, or the training diverges.
        """
        relative = self.spec.primary == "nmse_mor_db"
        found = [gather(train, relative, self.info.name) for train, _ in parts]
        held = [gather(val, relative, self.info.name, HELD) for _, val in parts if len(val)]
        steps = {(one.past.shape[1], one.future.shape[1]) for one in (*found, *held)}
        if len(steps) != 1:
            why = ", ".join(f"{seen} → {ahead}" for seen, ahead in sorted(steps))
            raise ModelError("One network has one number of seen and open steps.", where=self.info.name, why=why)
        seen, ahead = steps.pop()
        self.build(seed, seen=seen, ahead=ahead)
        sets, held_sets = [self.drawing(one) for one in found], [self.drawing(one) for one in held]
        starts = np.cumsum([0, *(len(one) for one in found)])

        def loss(rows: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
            total = torch.zeros((), device=self.device)
            for start, end, one in zip(starts, starts[1:], sets, strict=False):
                mine = torch.from_numpy(rows[(rows >= start) & (rows < end)] - start)
                if len(mine):
                    total = total + one.loss(self.module, mine, generator, held=False)
            return total / len(rows)

        def validate() -> float:
            generator, total = torch.Generator(self.device).manual_seed(0), 0.0
            for samples, one in zip(held, held_sets, strict=True):
                for rows in torch.split(torch.arange(len(samples)), 32):
                    total += float(one.loss(self.module, rows, generator, held=True))
            return total / sum(len(samples) for samples in held)

        self.run(int(starts[-1]), loss, validate if held else None, seed)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Seen steps as they came, open ones predicted: complex64 [n, *shape]."""
        grid = grid_of(batch, self.info.name)
        self.module.eval()

        def answer(x: dict[str, Tensor]) -> Tensor:
            past = to_grid(x["H"].numpy(), grid.at.seen, grid).to(self.device)
            out = self.continued(past, x["noise"].to(self.device), grid)
            return torch.from_numpy(from_grid(out.cpu(), grid, batch.meta))

        tensors = {"H": torch.from_numpy(batch.x["H"].copy()), "noise": noise_of(batch)}
        return filled(batch, grid.at, in_passes(answer, tensors, self.samples_per_pass).numpy())


def by_power(power: Tensor) -> Tensor:
    """Chances of parts of samples, [n, parts] of their powers: most by power, the rest evenly."""
    share = power / power.sum(dim=1, keepdim=True).clamp_min(1e-8)
    return BY_POWER * share + (1 - BY_POWER) / power.shape[1]


def outputs(module: nn.Linear) -> nn.Linear:
    """A last layer that starts at zero."""
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module
