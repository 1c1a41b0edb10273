"""LSTM and Transformer that continue the series of angle-delay bins (needs PyTorch)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from wbench.model import ModelInfo
from wbench.training import TrainingSettings
from wbench_baselines.networks.predictor import outputs
from wbench_baselines.networks.series import CHANNELS, SeriesPredictor

__all__ = ["LstmNetwork", "LstmPredictor", "TransformerNetwork", "TransformerPredictor"]


class LstmNetwork(nn.Module):
    """Stacked LSTM over the seen steps; its last state and the context give all open steps at once."""

    def __init__(self, seen: int, ahead: int, context: int, width: int, layers: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.context = nn.Linear(context, width)
        self.lstm = nn.LSTM(CHANNELS + width, width, layers, batch_first=True)
        self.hidden = nn.Linear(width + 2 * seen + width, 2 * width)
        self.answer = outputs(nn.Linear(2 * width, 2 * ahead))

    def forward(self, series: Tensor, context: Tensor) -> Tensor:
        """[b, seen, 14], [b, c] → [b, ahead, 2]."""
        known = nn.functional.gelu(self.context(context))
        states, _ = self.lstm(torch.cat([series, known[:, None].expand(-1, series.shape[1], -1)], dim=2))
        last = torch.cat([states[:, -1], series[..., :2].flatten(1), known], dim=1)
        out: Tensor = self.answer(nn.functional.gelu(self.hidden(last))).unflatten(1, (self.ahead, 2))
        return out


class LstmPredictor(SeriesPredictor):
    """Two LSTM layers of 64 over the snapshots (or subcarriers) of a bin, all open steps from the last state."""

    settings: ClassVar[TrainingSettings] = TrainingSettings(4, 32, lr=2e-3)
    steps: ClassVar[int] = 1300
    width: ClassVar[int] = 64
    layers: ClassVar[int] = 2

    info = ModelInfo(
        name="wbench/lstm-prediction",
        revision="1",
        kind="network",
        summary="LSTM 2 × 64 over the series of each angle-delay bin",
        source="Hochreiter and Schmidhuber 1997; Jiang and Schotten, IEEE OJ-COMS 1, 2020 (channel prediction by LSTM)",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def series_network(self, seen: int, ahead: int, context: int) -> nn.Module:
        """See :class:`LstmNetwork`."""
        return LstmNetwork(seen, ahead, context, self.width, self.layers)


class TransformerNetwork(nn.Module):
    """Pre-norm encoder over the seen steps; all its outputs together give the open steps at once."""

    def __init__(self, seen: int, ahead: int, context: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.embed = nn.Linear(CHANNELS, width)
        self.context = nn.Linear(context, width)
        self.position = nn.Parameter(0.02 * torch.randn(seen, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.hidden = nn.Linear(seen * width, 2 * width)
        self.answer = outputs(nn.Linear(2 * width, 2 * ahead))

    def forward(self, series: Tensor, context: Tensor) -> Tensor:
        """[b, seen, 14], [b, c] → [b, ahead, 2]."""
        tokens = self.embed(series) + self.position + self.context(context)[:, None]
        flat = self.encoder(tokens).flatten(1)
        out: Tensor = self.answer(nn.functional.gelu(self.hidden(flat))).unflatten(1, (self.ahead, 2))
        return out


class TransformerPredictor(SeriesPredictor):
    """Two encoder layers of width 48 over the snapshots (or subcarriers) of a bin, all open steps in parallel."""

    settings: ClassVar[TrainingSettings] = TrainingSettings(4, 32, lr=2e-3)
    steps: ClassVar[int] = 1300
    width: ClassVar[int] = 48
    layers: ClassVar[int] = 2
    heads: ClassVar[int] = 4

    info = ModelInfo(
        name="wbench/transformer-prediction",
        revision="1",
        kind="network",
        summary="Transformer encoder 2 × 48 over the series of each angle-delay bin",
        source="Vaswani et al., NeurIPS 2017; H. Jiang et al., IEEE JSAC 40(9), 2022 (parallel channel prediction)",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )

    def series_network(self, seen: int, ahead: int, context: int) -> nn.Module:
        """See :class:`TransformerNetwork`."""
        return TransformerNetwork(seen, ahead, context, self.width, self.layers, self.heads)
