"""A masked and contrastive autoencoder after ContraWiMAE: two noisy, masked views of a user belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from wbench.model import ModelInfo
from wbench.training.pretext import Pretext, PretextParams
from wbench_baselines.pretraining.autoencoder import AutoencoderNetwork, AutoencoderParams, MaskedAutoencoder
from wbench_baselines.pretraining.base import network_of
from wbench_baselines.pretraining.seen import Masks, Noise, draw_mask, noisy, part_of_array, scale_of, tokens_of
from wbench_baselines.pretraining.tokens import Patch, draw_weights

__all__ = ["ContrastiveAutoencoder", "ContrastiveNetwork", "ContrastiveReconstruction", "info_nce"]


class ContrastiveNetwork(AutoencoderNetwork):
    """The autoencoder and a projection of the mean feature, which only the pre-training uses."""

    def __init__(self, size: AutoencoderParams) -> None:
        super().__init__(size)
        width = size.width
        self.project = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        draw_weights(self.project)

    def forward(self, tokens: Tensor, counts: Patch, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Values of all patches [n, token, entries], and the projection [n, width]."""
        features = self.encode(tokens, counts, seen)
        return self.decode(features, counts, seen), self.project(features.mean(dim=1))


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised-temperature cross entropy of matching rows, both ways (Chen et al. 2020, Eq. 1, without own views).

    Parameters
    ----------
    first, second : float tensor [n, d]
        Two views of the same n samples.
    temperature : float
        Of the softmax over cosines.
    """
    cosine = functional.normalize(first.float(), dim=1) @ functional.normalize(second.float(), dim=1).T
    wanted = torch.arange(len(cosine), device=cosine.device)
    logits = cosine / temperature
    return (functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.T, wanted)) / 2


class ContrastiveParams(PretextParams):
    """Network and task of the pre-training.

    Attributes
    ----------
    network : AutoencoderParams
        Size.
    masks, noise : Masks, Noise
        Drawn for each view.
    antennas : tuple of int
        Numbers of adjacent antennas that a view may be cut to; both views of a step have the same number.
    weight : float
        Share of the reconstruction in the loss; the rest is contrastive.
    temperature : float
        Of the contrastive loss.
    """

    network: AutoencoderParams = AutoencoderParams(patch=(1, 4, 4), decoder_depth=1)
    masks: Masks = Masks(random=1.0, hidden=0.6)
    noise: Noise = Noise()
    antennas: tuple[int, ...] = ()
    weight: float = Field(default=0.5, ge=0, le=1)
    temperature: float = Field(default=0.2, gt=0)


class ContrastiveReconstruction(Pretext):
    """Reconstruction of hidden patches, and agreement of two views: noise, phase, mask and sub-array differ.

    After Guler, Geraci and Jafarkhani, arXiv 2505.09160. Differences: both parts are trained from the start; the views
    differ by phase and sub-array too; patches of antennas and subcarriers hold real and imaginary part together.
    """

    Params = ContrastiveParams
    model: ClassVar[str] = "wbench_baselines.pretraining.contrastive:ContrastiveAutoencoder"

    def build(self) -> nn.Module:
        """The network with its projection."""
        return ContrastiveNetwork(self.params.network)

    def model_params(self) -> dict[str, Any]:
        """Size of the network."""
        plain: dict[str, Any] = self.params.network.plain()
        return plain

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """``weight`` · reconstruction + (1 − ``weight``) · contrast."""
        p: ContrastiveParams = self.params
        sizes: tuple[int, ...] = p.antennas
        if len(sizes) > 1:  # one size for both views: their tokens are as many
            sizes = (sizes[int(torch.randint(len(sizes), (), generator=generator, device=generator.device))],)
        views = [self._view(network, batch["H"], sizes, generator) for _ in range(2)]
        rebuilt = (views[0][0] + views[1][0]) / 2
        return p.weight * rebuilt + (1 - p.weight) * info_nce(views[0][1], views[1][1], p.temperature)

    def _view(
        self, network: nn.Module, channel: Tensor, sizes: tuple[int, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        p: ContrastiveParams = self.params
        tokens, real, counts = tokens_of(part_of_array(channel, sizes, generator), p.network.patch, generator)
        seen, _ = draw_mask(counts, p.masks, generator)
        clean = tokens / scale_of(tokens, real)
        guess, projected = network(noisy(clean, real, p.noise, generator), counts, seen)
        weight = (~seen)[:, None] * real
        return ((guess - clean).square() * weight).sum() / (weight.sum() * len(clean)), projected


class ContrastiveAutoencoder(MaskedAutoencoder):
    """The network of :class:`ContrastiveReconstruction`; the projection is not used after the pre-training."""

    info = ModelInfo(
        name="wbench/contrastive-autoencoder",
        revision="1",
        kind="foundation",
        summary="Contrastive and masked autoencoder after ContraWiMAE",
        source="Guler, Geraci, Jafarkhani, arXiv 2505.09160 (objective)",
        licence="Apache-2.0",
    )

    def _network(self) -> AutoencoderNetwork:
        return network_of(lambda: ContrastiveNetwork(self.size), self.weights, "contrastive-autoencoder")
