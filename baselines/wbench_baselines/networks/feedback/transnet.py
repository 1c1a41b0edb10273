"""TransNet: two Transformer layers and a dense layer at the UE, a dense layer and two at the base station.

Source: Y. Cui, A. Guo, C. Song, "TransNet: Full Attention Network for CSI Feedback in FDD Massive MIMO System", IEEE
Wireless Commun. Lett. 11(5), 2022, Fig. 1 and Sec. III; the layers: Vaswani et al., NeurIPS 2017, Sec. 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wbench.errors import ModelError
from wbench.model import ModelInfo
from wbench.task.batch import ChannelMeta
from wbench.training import TrainingSettings
from wbench_baselines.networks.feedback.codec import Autoencoder, NetworkCodec

__all__ = ["TransNet", "transnet"]

HEADS, HIDDEN, LAYERS = 2, 2048, 2


class _Encoder(nn.Module):
    """Rows of both planes as tokens, self-attention among them, one dense layer on all."""

    def __init__(self, tokens: int, width: int, reals: int, hidden: int) -> None:
        super().__init__()
        self.tokens, self.width = tokens, width
        layers = [
            nn.TransformerEncoderLayer(width, HEADS, hidden, dropout=0.0, batch_first=True) for _ in range(LAYERS)
        ]
        self.layers = nn.ModuleList(layers)
        self.dense = nn.Linear(tokens * width, reals)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(len(x), self.tokens, self.width)
        for layer in self.layers:
            rows = layer(rows)
        return self.dense(rows.flatten(1))  # type: ignore[no-any-return]


class _Decoder(nn.Module):
    """A dense layer gives the memory; a linear map of it starts the rows that attend to themselves and to it."""

    def __init__(self, shape: tuple[int, int], reals: int, hidden: int) -> None:
        super().__init__()
        self.shape = shape
        tokens, width = 2 * shape[0], shape[1]
        self.tokens, self.width = tokens, width
        self.dense = nn.Linear(reals, tokens * width)
        self.first = nn.Linear(width, width)
        layers = [
            nn.TransformerDecoderLayer(width, HEADS, hidden, dropout=0.0, batch_first=True) for _ in range(LAYERS)
        ]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, codeword: Tensor) -> Tensor:
        memory = self.dense(codeword).reshape(len(codeword), self.tokens, self.width)
        rows = self.first(memory)
        for layer in self.layers:
            rows = layer(rows, memory)
        return self.norm(rows).reshape(len(codeword), 2, *self.shape)  # type: ignore[no-any-return]


def transnet(shape: tuple[int, int], reals: int, hidden: int = HIDDEN) -> Autoencoder:
    """TransNet for images of ``shape`` (angle, delay), ``reals`` numbers and ``hidden`` units between two layers.

    Tokens are the rows of the real and of the imaginary plane: 64 of 32 numbers for (32, 32), without positions. One
    sample then takes 35.72 million multiplications in dense layers at 512 numbers, as published.

    Raises
    ------
    ModelError
        The delay rows cannot be shared out among two heads.
    """
    if shape[1] % HEADS:
        raise ModelError("TransNet has two attention heads.", why=f"{shape[1]} delay rows are not a multiple of 2")
    encoder = _Encoder(2 * shape[0], shape[1], reals, hidden)
    network = Autoencoder(encoder, _Decoder(shape, reals, hidden))
    for weight in network.parameters():
        if weight.ndim > 1:
            nn.init.xavier_uniform_(weight)
    return network


class TransNet(NetworkCodec):
    """TransNet with layers of their own.

    The authors' code passes twice through one encoder layer and one decoder layer; here each of the two has weights of
    its own: 2 659 424 at γ = 1/4 instead of 2 380 128, with the same multiplications.

    It ends in a layer norm over a row. Its scale starts at 1 in the published network; here at the rms of each delay
    column over the training images, or the first thousand steps would be spent on shrinking it.
    """

    info = ModelInfo(
        name="wbench/transnet",
        revision="1",
        kind="network",
        summary="TransNet: two Transformer layers and a dense layer in encoder and decoder",
        source="Cui, Guo, Song, IEEE WCL 11(5), 2022, Fig. 1",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )
    settings: ClassVar[Mapping[str, TrainingSettings]] = {
        "paper": TrainingSettings(400, 200, lr=1e-4, weight_decay=0.0, warmup=0.0, floor=1.0, clip=None),
        "standard": TrainingSettings(5, 20, lr=1e-3, weight_decay=0.0),
    }
    options: ClassVar[tuple[str, ...]] = ("hidden",)
    hidden: int = HIDDEN

    def __init__(self, setting: str = "standard", *, hidden: int = HIDDEN, **more: Any) -> None:
        self.hidden = hidden
        super().__init__(setting, **more)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Take images whose delay rows can be shared out among the heads."""
        reason = super().accepts(meta)
        uneven = reason is None and meta.shape[0] % HEADS
        return f"has {HEADS} attention heads; {meta.shape[0]} delay rows cannot be shared out" if uneven else reason

    def build(self, shape: tuple[int, int], reals: int) -> Autoencoder:
        """Two layers of two heads on each side."""
        return transnet(shape, reals, self.hidden)

    def start(self, network: Autoencoder, images: Tensor) -> None:
        """Scale of the last norm: the rms of each delay column."""
        with torch.no_grad():
            scale = torch.sqrt(torch.mean(images**2, dim=(0, 1, 2)))
            network.decoder.norm.weight.copy_(scale)  # type: ignore[union-attr, operator]
