"""A masked autoencoder after WiFo: patches of time, antenna and frequency; predicts channels as it is (zero-shot)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TorchEmbedder
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.training.pretext import Pretext, PretextParams
from wbench_baselines.pretraining.base import NetworkParams, network_of, network_params, serves_heads, untrained
from wbench_baselines.pretraining.seen import Masks, Noise, draw_mask, noisy, scale_of, tokens_of
from wbench_baselines.pretraining.tokens import (
    Encoder,
    Patch,
    draw_weights,
    from_tokens,
    grid_of,
    ordered,
    positions,
    restored,
    to_tokens,
)

__all__ = ["AutoencoderNetwork", "AutoencoderParams", "MaskedAutoencoder", "MaskedReconstruction"]


class AutoencoderParams(NetworkParams):
    """Size of encoder and decoder; ``decoder_width`` is a multiple of 16."""

    patch: tuple[int, int, int] = (4, 4, 4)
    decoder_width: int = Field(default=64, ge=16)
    decoder_depth: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _decoder(self) -> AutoencoderParams:
        if self.decoder_width % 16 or self.decoder_width % self.heads:
            raise ValueError("16 and the heads divide decoder_width")
        return self


class AutoencoderNetwork(nn.Module):
    """The encoder sees the visible patches only; a small decoder guesses the others (He et al. 2022, Section 3)."""

    def __init__(self, size: AutoencoderParams) -> None:
        super().__init__()
        entries = 2 * size.patch[0] * size.patch[1] * size.patch[2]
        self.width, self.decoder_width = size.width, size.decoder_width
        self.embed = nn.Linear(entries, size.width)
        self.encoder = Encoder(size.width, size.depth, size.heads)
        self.narrow = nn.Linear(size.width, size.decoder_width)
        self.mask_token = nn.Parameter(torch.empty(size.decoder_width))
        self.decoder = Encoder(size.decoder_width, size.decoder_depth, size.heads)
        self.head = nn.Linear(size.decoder_width, entries)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        draw_weights(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def encode(self, tokens: Tensor, counts: Patch, seen: Tensor | None = None) -> Tensor:
        """Features of the visible patches (all without ``seen``, bool [token]): [n, visible, width]."""
        place = positions(counts, self.width, tokens.device)
        if seen is not None:
            tokens, place = tokens[:, seen], place[seen]
        out: Tensor = self.encoder(self.embed(tokens) + place)
        return out

    def decode(self, features: Tensor, counts: Patch, seen: Tensor) -> Tensor:
        """Values of all patches: [n, token, entries]."""
        given = self.narrow(features)
        # Where a visible patch lies among the visible ones; hidden ones point at an extra row, the mask token.
        index = torch.where(seen, seen.cumsum(0) - 1, given.shape[1])
        mask = self.mask_token.to(given.dtype).expand(len(given), 1, -1)
        x = torch.cat([given, mask], dim=1)[:, index] + positions(counts, self.decoder_width, given.device)
        out: Tensor = self.head(self.decoder(x))
        return out

    def forward(self, tokens: Tensor, counts: Patch, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Values of all patches [n, token, entries], and features of the visible ones."""
        features = self.encode(tokens, counts, seen)
        return self.decode(features, counts, seen), features


class ReconstructionParams(PretextParams):
    """Network and task of the pre-training.

    Attributes
    ----------
    network : AutoencoderParams
        Size.
    masks : Masks
        What is hidden.
    noise : Noise
        Of the input; what is to be guessed is clean.
    """

    network: AutoencoderParams = AutoencoderParams()
    masks: Masks = Masks(random=1.0, time=1.0, frequency=1.0, hidden=0.85, uneven=0.2)
    noise: Noise = Noise(low=10.0, high=30.0, clean=0.1)


class MaskedReconstruction(Pretext):
    """Mean squared error of the clean values of hidden patches, at unit power of what is seen.

    After Liu et al., "WiFo: wireless foundation model for channel prediction", arXiv 2412.08908: random, time and
    frequency masks over patches of 4 × 4 × 4. Differences: samples are scaled by what is seen of them, as the benchmark
    does, not by a dataset's statistics; a random phase; noise on the input only; a cut may lie off the middle.
    """

    Params = ReconstructionParams
    model: ClassVar[str] = "wbench_baselines.pretraining.autoencoder:MaskedAutoencoder"

    def build(self) -> nn.Module:
        """The network."""
        return AutoencoderNetwork(self.params.network)

    def model_params(self) -> dict[str, Any]:
        """Size of the network."""
        plain: dict[str, Any] = self.params.network.plain()
        return plain

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Loss over the patches of one drawn mask."""
        p: ReconstructionParams = self.params
        tokens, real, counts = tokens_of(batch["H"], p.network.patch, generator)
        seen, _ = draw_mask(counts, p.masks, generator)
        clean = tokens / scale_of(tokens, real, seen)
        guess, _ = network(noisy(clean, real, p.noise, generator), counts, seen)
        weight = (~seen)[:, None] * real
        error: Tensor = ((guess - clean).square() * weight).sum() / (weight.sum() * len(clean))
        return error


class MaskedAutoencoder(TorchEmbedder, Predictor):
    """The network of :class:`MaskedReconstruction`: features for a head, and channel prediction as it is (zero-shot).

    As an embedder it gives one token per patch of the whole input; pooled, their mean. As a predictor the patches that
    are observed whole are visible, the others are guessed; entries that were observed stay as they came. A patch that
    is observed in part is hidden. What is missing to whole patches is zeros.
    """

    info = ModelInfo(
        name="wbench/masked-autoencoder",
        revision="1",
        kind="foundation",
        summary="Masked autoencoder after WiFo, for channel prediction and features",
        source="Liu et al., WiFo, arXiv 2412.08908 (objective)",
        licence="Apache-2.0",
    )

    def __init__(self, weights: Path | None = None, **params: Any) -> None:
        self.size = network_params(AutoencoderParams, params)
        self.weights = weights
        self.info = untrained(self.info, weights)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Channel prediction with at least one whole patch in view, and tasks for a head."""
        if spec.kind == "reconstruct" and spec.family == "channel-prediction":
            over_time = spec.params.get("axis", "time") == "time"
            need, past = self.size.patch[0 if over_time else 2], int(spec.params.get("past", 8))
            return f"its patches need {need} observed steps, the task shows {past}" if past < need else None
        return serves_heads(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Read the weights."""
        super().setup(spec, meta)
        self.module: AutoencoderNetwork = self._network()

    def _network(self) -> AutoencoderNetwork:
        return network_of(lambda: AutoencoderNetwork(self.size), self.weights, "masked-autoencoder")

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        """``grid`` float32 [n, 2, time, antenna, subcarrier]."""
        return {"grid": grid_of(batch.x["H"], batch.meta)}

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """[n, patches, width]."""
        return self.module.encode(*to_tokens(inputs["grid"], self.size.patch))

    def layers(self) -> Sequence[nn.Module]:
        """Embedding, encoder layers, the last one with the final norm. The decoder gives no features."""
        *first, last = self.module.encoder.layers
        return [self.module.embed, *first, nn.ModuleList([last, self.module.encoder.norm])]

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """Observed entries as they came, the others guessed: complex64 [n, *shape]."""
        patch = self.size.patch
        observed = ordered(batch.x["observed"][None], batch.meta)
        hidden, counts = to_tokens(torch.from_numpy(~observed[:, None]), patch)  # padding is not hidden
        seen = ~hidden[0].any(dim=1)
        if not seen.any():
            why = f"patches of {patch}, input {batch.meta.shape}"
            raise ModelError("No whole patch is observed.", where=self.info.name, why=why)
        grid = grid_of(batch.x["H"], batch.meta)
        n, size = len(grid), self.samples_per_pass
        filled = np.concatenate([grid, np.zeros((-n % size, *grid.shape[1:]), grid.dtype)])
        device = next(self.module.parameters()).device
        self.module.eval()
        parts = []
        with torch.inference_mode():
            for start in range(0, n, size):
                tokens, _ = to_tokens(torch.from_numpy(filled[start : start + size]).to(device), patch)
                guess, _ = self.module(tokens, counts, seen.to(device))
                shape = (grid.shape[2], grid.shape[3], grid.shape[4])
                parts.append(from_tokens(guess, counts, patch, shape).float().cpu().numpy())
        found = np.concatenate(parts)[:n]
        answer = restored(found[:, 0] + 1j * found[:, 1], batch.meta)
        return np.where(batch.x["observed"], batch.x["H"], answer).astype(np.complex64)
