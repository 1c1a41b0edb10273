"""A vision transformer that was never trained: the control for every network that gives features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.model import ModelInfo, TorchEmbedder
from wbench.seeding import seed_sequence
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.neighbours import needs_channel

__all__ = ["RandomViT", "VisionTransformer"]

PATCH, WIDTH, DEPTH, HEADS = 4, 128, 4, 4


class Layer(nn.Module):
    """One pre-norm encoder layer: x + attention(norm(x)), then x + MLP(norm(x)) with a hidden width of 4 d."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        n, tokens, width = x.shape
        split = self.query_key_value(self.norm1(x)).view(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.project(mixed.transpose(1, 2).reshape(n, tokens, width))
        out: Tensor = x + self.narrow(functional.gelu(self.widen(self.norm2(x))))
        return out


class VisionTransformer(nn.Module):
    """Patches of a two-channel map → linear embedding + fixed 2-D sine positions → encoder layers → norm.

    Parameters
    ----------
    generator : torch.Generator
        Source of the initial weights; the global generator of torch is neither read nor moved.
    """

    def __init__(self, generator: torch.Generator) -> None:
        with torch.device("meta"):  # no storage yet, hence no draw from the global generator
            super().__init__()
            self.embed = nn.Linear(2 * PATCH * PATCH, WIDTH)
            self.layers = nn.ModuleList(Layer(WIDTH, HEADS) for _ in range(DEPTH))
            self.norm = nn.LayerNorm(WIDTH)
        self.to_empty(device="cpu")
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Features of every patch.

        Parameters
        ----------
        maps : float32 tensor [n, map, 2, rows, cols]
            Real and imaginary part of each map; rows and cols are multiples of the patch.

        Returns
        -------
        float32 tensor [n, map · patches, d]
        """
        n, count, _, rows, cols = maps.shape
        high, wide = rows // PATCH, cols // PATCH
        patches = maps.view(n, count, 2, high, PATCH, wide, PATCH).permute(0, 1, 3, 5, 2, 4, 6)
        tokens = self.embed(patches.reshape(n, count, high * wide, -1)) + positions(high, wide).to(maps.device)
        x = tokens.reshape(n, count * high * wide, WIDTH)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.norm(x)
        return out


def positions(high: int, wide: int) -> Tensor:
    """Sine and cosine positions of a grid of patches, a quarter of the width each: float32 [high · wide, d]."""
    frequency = 10_000.0 ** -(torch.arange(WIDTH // 4) / (WIDTH // 4))
    row = torch.arange(high)[:, None, None] * frequency
    col = torch.arange(wide)[None, :, None] * frequency
    parts = [part.expand(high, wide, -1) for part in (row.sin(), row.cos(), col.sin(), col.cos())]
    return torch.cat(parts, dim=-1).view(high * wide, WIDTH)


class RandomViT(TorchEmbedder):
    """Random features of a small vision transformer: what an architecture gives before it has learned anything.

    A pre-trained network whose features beat these by little owes its score to its architecture and the head. The
    weights come from one fixed seed, made from the name and the revision, so the model is the same for everyone; the
    run's seed moves the head only. Fine-tuned, it is the same architecture trained from scratch. Input is the raw
    channel as served (unit rms), real and imaginary part as two image channels of the map transmit port × subcarrier,
    in patches of 4 × 4; width 128, 4 layers, 4 heads, no class token.

    Other shapes: both map dimensions are padded with zeros at the end to multiples of 4, and all dimensions before the
    last two (time, receive port …) become further maps, whose tokens follow one another with the same positions.
    """

    info = ModelInfo(
        name="wbench/vit-random",
        revision="1",
        kind="control",
        summary="Vision transformer with random weights: the control for embedders",
        source="A. Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021 (architecture); weights random",
        licence="Apache-2.0",
        parameters=797_568,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks that a head on features can answer."""
        if spec.kind in ("classify", "regress"):
            return needs_channel(spec)
        return f"gives features for a head; the task's kind is {spec.kind}"

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Draw the weights."""
        super().setup(spec, meta)
        seed = int(seed_sequence(0, f"{self.info.name}@{self.info.revision}").generate_state(1, np.uint64)[0] >> 1)
        self.module: VisionTransformer = VisionTransformer(torch.Generator().manual_seed(seed)).eval()

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        """``maps`` float32 [n, map, 2, rows, cols]."""
        return {"maps": _maps(batch.x["H"])}

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features of every patch: [n, token, 128]."""
        tokens: Tensor = self.module(inputs["maps"])
        return tokens

    def layers(self) -> Sequence[nn.Module]:
        """Embedding, encoder layers, the last one with the final norm."""
        *first, last = self.module.layers
        return [self.module.embed, *first, nn.ModuleList([last, self.module.norm])]


def _maps(channel: npt.NDArray[np.complex64]) -> npt.NDArray[np.float32]:
    """Complex [n, ..., rows, cols] → float32 [n, map, 2, padded rows, padded cols]."""
    n, (rows, cols) = len(channel), channel.shape[-2:]
    flat = channel.reshape(n, int(np.prod(channel.shape[1:-2])), rows, cols)
    maps = np.zeros((n, flat.shape[1], 2, rows + -rows % PATCH, cols + -cols % PATCH), dtype=np.float32)
    maps[:, :, 0, :rows, :cols] = flat.real
    maps[:, :, 1, :rows, :cols] = flat.imag
    return maps
