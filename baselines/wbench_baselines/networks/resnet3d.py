"""3D ResNet over snapshots, angles and delays (needs PyTorch)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.model import ModelInfo
from wbench.training import TrainingSettings
from wbench_baselines.networks.grid import Grid
from wbench_baselines.networks.predictor import Drawing, GridPredictor, by_power, outputs
from wbench_baselines.networks.samples import Samples
from wbench_baselines.networks.series import TINY, context_size, pooled_correlation, unit

__all__ = ["ResNet3dNetwork", "ResNet3dPredictor", "cubes", "plane"]

#: Side of a training tile in bins, and the bins around it that the network sees but is not asked for.
TILE, MARGIN = 8, 1
#: Tiles of a validation sample that its loss is taken on.
HELD_TILES = 3


class Cube(NamedTuple):
    """What the network sees of samples, and how its answer is scaled and turned back.

    Attributes
    ----------
    x : float32 tensor [n, 3, seen, angle, delay]
        Real and imaginary part, turned and scaled, and the logarithm of the level over the noise's.
    back : complex64 tensor [n, 1, angle, delay]
        Level (rms over the steps of a bin and the eight around it: strong and weak paths look alike to the network)
        and phase of the last step.
    """

    x: Tensor
    back: Tensor


def cubes(past: Tensor, noise: Tensor, grid: Grid) -> Cube:
    """Turn every bin so that its last value is real and positive, and scale it.

    Parameters
    ----------
    past : complex64 tensor [n, seen, bins]
        Seen steps.
    noise : float32 tensor [n]
        Noise power.
    """
    x = past.reshape(*past.shape[:2], *plane(grid))
    power = functional.avg_pool2d(x.abs().square().mean(dim=1, keepdim=True), 3, 1, 1, count_include_pad=False)
    level = power.sqrt().clamp_min(TINY)
    ratio = (level / noise.sqrt().clamp_min(1e-3)[:, None, None, None]).log10()
    back = level * unit(x[:, -1:])
    parts = torch.view_as_real(x / back).permute(0, 4, 1, 2, 3)
    return Cube(torch.cat([parts, ratio[:, :, None].expand(-1, -1, x.shape[1], -1, -1)], dim=1), back)


def plane(grid: Grid) -> tuple[int, int]:
    """Angles (with ports and rows) and delays of a grid."""
    ports, columns, rows, delays = grid.shape
    return ports * columns * rows, delays


class _Block(nn.Module):
    """Two 3 × 3 × 3 convolutions and a shortcut; a factor that starts at 0 stands for normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 3, padding=1)
        self.factor = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.factor * self.second(functional.relu(self.first(functional.relu(x))))
        return out


class ResNet3dNetwork(nn.Module):
    """Convolution, residual blocks, and one map of all seen steps to all open ones at every bin."""

    def __init__(self, seen: int, ahead: int, width: int, blocks: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.stem = nn.Conv3d(3, width, 3, padding=1)
        self.context = nn.Linear(context_size(seen) - 2, width)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        self.hidden = nn.Linear(width * seen, 4 * width)
        self.answer = outputs(nn.Linear(4 * width, 2 * ahead))

    def forward(self, x: Tensor, correlation: Tensor) -> Tensor:
        """[n, 3, seen, angle, delay], [n, 2 · lags] → [n, ahead, angle, delay, 2], to be added to the last step."""
        y = functional.relu(self.blocks(self.stem(x) + self.context(correlation)[:, :, None, None, None]))
        y = y.permute(0, 3, 4, 1, 2).flatten(3)  # [n, angle, delay, width · seen]
        out: Tensor = self.answer(functional.relu(self.hidden(y))).unflatten(3, (self.ahead, 2))
        return out.permute(0, 3, 1, 2, 4)


class ResNet3dPredictor(GridPredictor):
    """Residual network of 3 × 3 × 3 convolutions over snapshots, angles and delays.

    Trained on tiles of 8 × 8 bins, drawn by their power, and applied to whole channels: a convolution does not mind.
    """

    settings: ClassVar[TrainingSettings] = TrainingSettings(4, 32, lr=2e-3)
    steps: ClassVar[int] = 1300
    width: ClassVar[int] = 16
    blocks: ClassVar[int] = 4
    axis: ClassVar[str | None] = "time"

    info = ModelInfo(
        name="wbench/resnet3d-prediction",
        revision="1",
        kind="network",
        summary="3D ResNet of four blocks of 16 channels over snapshots, angles and delays",
        source="He et al., CVPR 2016; 3D convolutions: Tran et al., ICCV 2015; the network's place in WiFo, Table 4",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def network(self, seen: int, ahead: int) -> nn.Module:
        """See :class:`ResNet3dNetwork`."""
        return ResNet3dNetwork(seen, ahead, self.width, self.blocks)

    def drawing(self, samples: Samples) -> Drawing:
        """Tiles drawn by their power."""
        return _Tiles(samples, self.device)

    def continued(self, past: Tensor, noise: Tensor, grid: Grid) -> Tensor:
        """Open snapshots of all bins."""
        cube = cubes(past, noise, grid)
        out = torch.view_as_complex(self.module(cube.x, pooled_correlation(past)).contiguous()) * cube.back
        return out.flatten(2) + past[:, -1:]


class _Tiles:
    """Samples of which tiles are drawn, the strong ones more often, so that the loss is right on average."""

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self.samples, self.device = samples, device
        self.sides = [_side(length) for length in plane(samples.grid)]
        power = samples.past.abs().square().mean(dim=1).reshape(len(samples), *plane(samples.grid))
        self.chance = by_power(functional.avg_pool2d(power, self.sides).flatten(1))
        self.correlation = torch.cat([pooled_correlation(part) for part in torch.split(samples.past, 64)])

    def loss(self, module: nn.Module, rows: Tensor, generator: torch.Generator, held: bool) -> Tensor:
        """Sum over the rows of the squared error over the energy that counts, estimated from a drawn tile each."""
        if held:
            return torch.stack([self.loss(module, rows, generator, held=False) for _ in range(HELD_TILES)]).mean()
        s, chance = self.samples, self.chance[rows].to(self.device)
        tile = torch.multinomial(chance, 1, generator=generator)
        past = s.past[rows].to(self.device)
        cube = cubes(past, s.noise[rows].to(self.device), s.grid)
        wide, inner = self._windows(tile[:, 0])
        output = module(_cut(cube.x, wide), self.correlation[rows].to(self.device))
        output = torch.view_as_complex(_inner(output, wide, inner).contiguous())
        target = s.future[rows].to(self.device) - past[:, -1:]
        wanted = _cut(target.reshape(*target.shape[:2], *plane(s.grid)), inner)
        error = (output * _cut(cube.back, inner) - wanted).abs().square().sum(dim=(1, 2, 3))
        return (error / torch.gather(chance, 1, tile)[:, 0] * s.weight[rows].to(self.device)).sum()

    def _windows(self, tile: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Bins [n, length] along angle and delay that the network sees, and those that it is asked for."""
        sizes = plane(self.samples.grid)
        columns = sizes[1] // self.sides[1]
        wide, inner = [], []
        for place, side, size in zip((tile // columns, tile % columns), self.sides, sizes, strict=True):
            margin = min(MARGIN, (size - side) // 2)
            begin = (place * side - margin).clamp(0, size - side - 2 * margin)
            wide.append(begin[:, None] + torch.arange(side + 2 * margin, device=tile.device))
            inner.append((place * side)[:, None] + torch.arange(side, device=tile.device))
        return wide, inner


def _cut(x: Tensor, window: list[Tensor]) -> Tensor:
    """[n, …, angle, delay] → the window of each sample."""
    angle, delay = window
    n, middle = len(x), x.shape[1:-2]
    shape = (n, *(1 for _ in middle))
    x = torch.gather(x, -2, angle.view(*shape, -1, 1).expand(n, *middle, -1, x.shape[-1]))
    return torch.gather(x, -1, delay.view(*shape, 1, -1).expand(n, *middle, x.shape[-2], -1))


def _inner(x: Tensor, wide: list[Tensor], inner: list[Tensor]) -> Tensor:
    """Outputs [n, ahead, angle, delay, 2] in the wide window → those in the inner one."""
    window = [here - there[:, :1] for here, there in zip(inner, wide, strict=True)]
    return _cut(x.permute(0, 1, 4, 2, 3), window).permute(0, 1, 3, 4, 2)


def _side(length: int) -> int:
    """Largest divisor of a length that is at most a tile's side."""
    return max(side for side in range(1, TILE + 1) if length % side == 0)
