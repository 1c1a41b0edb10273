"""A multi-feature token model for link features of slots: every feature of every slot is a token of its own kind."""

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
from wbench_baselines.pretraining.base import network_of, network_params, untrained
from wbench_baselines.pretraining.slot_tokens import (
    CONTEXT,
    SLOTS,
    TOKENS_PER_SLOT,
    SlotParams,
    SlotTokens,
    inputs_of,
    places,
    uncoded,
)
from wbench_baselines.pretraining.tokens import Encoder, draw_weights

__all__ = ["MaskedFeatures", "SlotEmbedder", "SlotNetwork"]


class SlotNetwork(nn.Module):
    """Tokens of all features and slots → transformer → every feature again."""

    def __init__(self, size: SlotParams) -> None:
        super().__init__()
        self.width = size.width
        self.tokens = SlotTokens(size.width)
        self.encoder = Encoder(size.width, size.depth, size.heads)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        draw_weights(self)
        self.tokens.reset_parameters()

    def encode(self, inputs: Mapping[str, Tensor], hidden: Tensor | None = None) -> Tensor:
        """Features [n, 5 · tokens of a slot + context, width]; ``hidden`` bool [n, 5, tokens of a slot] is not seen."""
        out: Tensor = self.encoder(self.tokens(inputs, hidden))
        return out

    def forward(self, inputs: Mapping[str, Tensor], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Squared or cross-entropy error of every token [n, 5, tokens of a slot], and which of them are there."""
        features = self.encode(inputs, hidden)[:, : SLOTS * TOKENS_PER_SLOT]
        return self.tokens.errors(features.reshape(len(features), SLOTS, TOKENS_PER_SLOT, -1), inputs)


class FeatureMasks(PretextParams):
    """Relative weights of what is hidden: the last slot, any one slot, one feature in all slots, single tokens.

    ``share`` of the single tokens are hidden.
    """

    last: float = Field(default=1.0, ge=0)
    slot: float = Field(default=1.0, ge=0)
    feature: float = Field(default=0.5, ge=0)
    tokens: float = Field(default=1.0, gt=0)
    share: float = Field(default=0.3, gt=0, lt=1)


class MaskedFeatureParams(PretextParams):
    """Network and task of the pre-training."""

    network: SlotParams = SlotParams()
    masks: FeatureMasks = FeatureMasks()


class MaskedFeatures(Pretext):
    """Error of hidden features: squared for numbers, cross entropy for the rank.

    After Buffelli et al., "Towards a Foundation Model for Communication Systems", arXiv 2505.14603, as far as it is
    public: tokens per feature and slot, masked prediction and forecasting. The hidden values are the estimates that the
    task shows, not the true features.
    """

    Params = MaskedFeatureParams
    reads = "inputs"
    model: ClassVar[str] = "wbench_baselines.pretraining.slots:SlotEmbedder"

    def build(self) -> nn.Module:
        """The network."""
        return SlotNetwork(self.params.network)

    def model_params(self) -> dict[str, Any]:
        """Size of the network; features with the way past it."""
        return {**self.params.network.model_dump(mode="json"), "values": True}

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Mean over hidden tokens."""
        inputs = inputs_of(batch)
        n, device = len(inputs["rank"]), inputs["rank"].device
        hidden = _draw(n, self.params.masks, generator).to(device)
        errors, there = network(inputs, hidden)
        counted = hidden & there
        total: Tensor = (errors * counted).sum() / counted.sum().clamp_min(1)
        return total


def _draw(n: int, masks: FeatureMasks, generator: torch.Generator) -> Tensor:
    """What is hidden of each sample: bool [n, 5, tokens of a slot]."""
    device = generator.device

    def integers(high: int) -> Tensor:
        return torch.randint(high, (n, 1, 1), generator=generator, device=device)

    slots = torch.arange(SLOTS, device=device)[None, :, None].expand(n, SLOTS, TOKENS_PER_SLOT)
    features = torch.arange(TOKENS_PER_SLOT, device=device).expand(n, SLOTS, TOKENS_PER_SLOT)
    lot = torch.rand((n, SLOTS, TOKENS_PER_SLOT), generator=generator, device=device)
    ways = [slots == SLOTS - 1, slots == integers(SLOTS), features == integers(TOKENS_PER_SLOT), lot < masks.share]
    weights = torch.tensor([masks.last, masks.slot, masks.feature, masks.tokens], device=device)
    chosen = torch.multinomial(weights.expand(n, -1), 1, generator=generator)
    return torch.stack(ways, dim=1)[torch.arange(n, device=device), chosen[:, 0]]


class SlotEmbedder(TorchEmbedder):
    """Features of :class:`MaskedFeatures`: one token per feature and slot, those of the numerology, and a way past it.

    The way past is the feature that the task asks for, of all slots, as it is seen: the last value is the best guess of
    the next to within a few percent, and a mean of normalised tokens does not keep it. Pooled: the mean of each slot's
    tokens, the tokens of that feature, the mean of the numerology's, and the values. A hidden slot's tokens are what
    the network makes of it.

    Parameters
    ----------
    weights : path, optional
        Of a pre-training; without it random ones of a fixed seed, as an untrained control.
    values : bool
        With the way past the network. Without, pooled features are what the network says alone.
    **params
        Size of the network: ``width``, ``depth``, ``heads``.
    """

    info = ModelInfo(
        name="wbench/slot-tokens",
        revision="2",
        kind="foundation",
        summary="Multi-feature token model for link features of slots",
        source="Buffelli et al., arXiv 2505.14603 (objective)",
        licence="Apache-2.0",
    )

    def __init__(self, weights: Path | None = None, *, values: bool = True, **params: Any) -> None:
        self.values = values
        self.size = network_params(SlotParams, params)
        self.weights = weights
        self.info = untrained(self.info, weights)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Feature forecasting only."""
        if spec.family == "feature-forecasting":
            return None
        return f"reads link features of slots; the task's family is {spec.family}"

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Read the weights."""
        super().setup(spec, meta)
        self.asked = str(spec.params["feature"])
        self.module: SlotNetwork = network_of(lambda: SlotNetwork(self.size), self.weights, "slot-tokens")

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        """The task's arrays, complex ones as two real parts."""
        tensors = inputs_of({name: torch.from_numpy(np.array(values)) for name, values in batch.x.items()})
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """[n, tokens, width]."""
        tokens = self.module.encode(inputs)
        if not self.values:
            return tokens
        return torch.cat([tokens, uncoded(inputs, self.asked, self.size.width)], dim=1)

    def pool(self, tokens: Any) -> Any:
        """Means of the slots and of the numerology, and all of the feature that is asked for: [n, d]."""
        n, end = len(tokens), SLOTS * TOKENS_PER_SLOT
        shown, context, values = tokens[:, :end], tokens[:, end : end + CONTEXT], tokens[:, end + CONTEXT :]
        slots = shown.reshape(n, SLOTS, TOKENS_PER_SLOT, -1)
        asked = slots[:, :, places(self.asked)]
        parts = (slots.mean(axis=2), asked, context.mean(axis=1), values)
        flat = [part.reshape(n, -1) for part in parts]
        return torch.cat(flat, dim=1) if isinstance(tokens, Tensor) else np.concatenate(flat, axis=1)

    def layers(self) -> Sequence[nn.Module]:
        """Token embeddings, encoder layers, the last one with the final norm."""
        *first, last = self.module.encoder.layers
        return [self.module.tokens, *first, nn.ModuleList([last, self.module.encoder.norm])]
