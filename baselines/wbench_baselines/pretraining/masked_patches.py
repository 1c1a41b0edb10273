"""A masked-patch encoder after LWM: hidden patches of a snapshot are guessed from the others, by one transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from wbench.model import ModelInfo, TorchEmbedder
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.training.pretext import Pretext, PretextParams
from wbench_baselines.pretraining.base import NetworkParams, network_of, network_params, serves_heads, untrained
from wbench_baselines.pretraining.seen import Noise, noisy, part_of_array, scale_of, tokens_of
from wbench_baselines.pretraining.tokens import Encoder, Patch, draw_weights, grid_of, positions, to_tokens

__all__ = ["MaskedPatchEmbedder", "MaskedPatchNetwork", "MaskedPatches"]


class MaskedPatchNetwork(nn.Module):
    """Patches and a class token → transformer → the patches' clean values."""

    def __init__(self, size: NetworkParams) -> None:
        super().__init__()
        entries = 2 * size.patch[0] * size.patch[1] * size.patch[2]
        self.width = size.width
        self.embed = nn.Linear(entries, size.width)
        self.class_token = nn.Parameter(torch.empty(size.width))
        self.mask_token = nn.Parameter(torch.empty(size.width))
        self.encoder = Encoder(size.width, size.depth, size.heads)
        self.head = nn.Linear(size.width, entries)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        draw_weights(self)
        nn.init.normal_(self.class_token, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)

    def encode(self, tokens: Tensor, counts: Patch, hidden: Tensor | None = None) -> Tensor:
        """Features [n, 1 + token, width], the class token first; ``hidden`` bool [n, token] are not looked at."""
        x = self.embed(tokens)
        if hidden is not None:
            x = torch.where(hidden[..., None], self.mask_token, x)
        x = x + positions(counts, self.width, x.device)
        first = self.class_token.expand(len(x), 1, -1)
        out: Tensor = self.encoder(torch.cat([first, x], dim=1))
        return out

    def forward(self, tokens: Tensor, counts: Patch, hidden: Tensor) -> Tensor:
        """Values of all patches: [n, token, entries]."""
        out: Tensor = self.head(self.encode(tokens, counts, hidden)[:, 1:])
        return out


class MaskedPatchParams(PretextParams):
    """Network and task of the pre-training.

    Attributes
    ----------
    network : NetworkParams
        Size.
    hidden : float
        Share of patches to be guessed. Of these, 80 % are replaced by the mask token, 10 % by the same patch of another
        sample, 10 % stay as they are (Devlin et al. 2019, Section 3.1).
    noise : Noise
        Of the input; what is to be guessed is clean.
    antennas : tuple of int
        Numbers of adjacent antennas that a step may be cut to, so that sub-arrays are known too.
    """

    network: NetworkParams = NetworkParams()
    hidden: float = Field(default=0.4, gt=0, lt=1)
    noise: Noise = Noise()
    antennas: tuple[int, ...] = ()


class MaskedPatches(Pretext):
    """Mean squared error of the clean values of hidden patches, at unit power of the sample.

    After Alikhani, Charan and Alkhateeb, "Large Wireless Model", arXiv 2411.08872. Differences: patches of antennas and
    subcarriers with sine positions, so that the shape is free; a random phase, noise and sub-arrays at the input.
    """

    Params = MaskedPatchParams
    model: ClassVar[str] = "wbench_baselines.pretraining.masked_patches:MaskedPatchEmbedder"

    def build(self) -> nn.Module:
        """The network."""
        return MaskedPatchNetwork(self.params.network)

    def model_params(self) -> dict[str, Any]:
        """Size of the network."""
        plain: dict[str, Any] = self.params.network.plain()
        return plain

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Loss over hidden patches; every sample has its own."""
        p: MaskedPatchParams = self.params
        channel = part_of_array(batch["H"], p.antennas, generator)
        tokens, real, counts = tokens_of(channel, p.network.patch, generator)
        clean = tokens / scale_of(tokens, real)
        seen = noisy(clean, real, p.noise, generator)
        n, total = clean.shape[:2]
        lot = torch.rand((n, total), generator=generator, device=clean.device)
        chosen = lot.argsort(dim=1).argsort(dim=1) < max(1, round(p.hidden * total))
        fate = torch.rand((n, total), generator=generator, device=clean.device)
        swapped = (chosen & (fate >= 0.8) & (fate < 0.9))[..., None]
        seen = torch.where(swapped, seen.roll(1, dims=0), seen)
        guess = network(seen, counts, chosen & (fate < 0.8))
        weight = chosen[..., None] * real
        error: Tensor = ((guess - clean).square() * weight).sum() / weight.sum()
        return error


class MaskedPatchEmbedder(TorchEmbedder):
    """Features of :class:`MaskedPatches`: the class token, then one token per patch.

    Pooled: the class token and the mean of the others, side by side. The input is the channel as served (unit rms).
    What is missing to whole patches is zeros; time steps, receive ports and links give further tokens.
    """

    info = ModelInfo(
        name="wbench/masked-patches",
        revision="1",
        kind="foundation",
        summary="Masked-patch encoder after LWM",
        source="Alikhani, Charan, Alkhateeb, Large Wireless Model, arXiv 2411.08872 (objective)",
        licence="Apache-2.0",
    )

    def __init__(self, weights: Path | None = None, **params: Any) -> None:
        self.size = network_params(NetworkParams, params)
        self.weights = weights
        self.info = untrained(self.info, weights)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks with a channel that a head can answer."""
        return serves_heads(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Read the weights."""
        super().setup(spec, meta)
        self.module: MaskedPatchNetwork = network_of(
            lambda: MaskedPatchNetwork(self.size), self.weights, "masked-patches"
        )

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        """``grid`` float32 [n, 2, time, antenna, subcarrier]."""
        return {"grid": grid_of(batch.x["H"], batch.meta)}

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """[n, 1 + patches, width]."""
        return self.module.encode(*to_tokens(inputs["grid"], self.size.patch))

    def pool(self, tokens: Any) -> Any:
        """Class token and mean of the patches: [n, 2 · width]."""
        mean = tokens[:, 1:].mean(axis=1)
        both = (tokens[:, 0], mean)
        return torch.cat(both, dim=1) if isinstance(tokens, Tensor) else np.concatenate(both, axis=1)

    def layers(self) -> Sequence[nn.Module]:
        """Embedding, encoder layers, the last one with the final norm."""
        *first, last = self.module.encoder.layers
        return [self.module.embed, *first, nn.ModuleList([last, self.module.encoder.norm])]
