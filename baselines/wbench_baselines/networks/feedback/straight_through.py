"""Quantisers inside a network that is trained: rounded values forward, the gradient of the identity backward.

Source: Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons",
arXiv 1308.3432, 2013, Sec. 3 (straight-through estimator).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wbench.channel.quantise import Quantiser

__all__ = ["StraightThrough"]


class StraightThrough(nn.Module):
    """Quantise and restore the last axis: number by number, or ``grouped`` at a time with a vector quantiser."""

    def __init__(self, quantiser: Quantiser, grouped: int = 1) -> None:
        super().__init__()
        self.quantiser, self.grouped = quantiser, grouped

    def forward(self, x: Tensor) -> Tensor:
        """Restored values [..., m], with the gradient of ``x`` itself."""
        numbers = x.detach().cpu().numpy()
        values = numbers if self.grouped == 1 else numbers.reshape(*numbers.shape[:-1], -1, self.grouped)
        restored = self.quantiser.decode(self.quantiser.encode(values)).reshape(numbers.shape)
        return x + (torch.from_numpy(restored).to(x) - x.detach())
