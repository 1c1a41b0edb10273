"""The encoder of WiMAE and ContraWiMAE: a post-norm transformer over patches of one antenna × subcarrier map.

B. Guler, G. Geraci, H. Jafarkhani, A Multi-Task Foundation Model for Wireless Channel Representation Using Contrastive
and Masked Autoencoder Learning, arXiv 2505.09160. Names of weights are those of the published code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wbench.errors import ModelError

__all__ = ["WimaeEncoder", "WimaeShape"]


@dataclass(frozen=True)
class WimaeShape:
    """Sizes; the defaults are the published ones.

    Attributes
    ----------
    values, places : int
        Values of a patch; positions that are learned.
    width, depth, hidden : int
        Of the tokens; layers; hidden width of the MLPs.
    heads : int
        Attention heads: the one size that weights do not tell.
    """

    values: int = 16
    width: int = 64
    depth: int = 12
    heads: int = 16
    hidden: int = 128
    places: int = 128

    @classmethod
    def of(cls, state: Mapping[str, Tensor], heads: int, where: str) -> WimaeShape:
        """Read off the weights of an encoder.

        Raises
        ------
        ModelError
            They are none, or the width is no multiple of the heads.
        """
        parts = ("linear_1.weight", "positional_encoding.position_embeddings", "transformer.layers.0.linear1.weight")
        found = [state.get(part) for part in parts]
        if any(tensor is None or tensor.ndim != rank for tensor, rank in zip(found, (2, 3, 2), strict=True)):
            why = f"it begins with {', '.join(list(state)[:3])}"
            raise ModelError("These are no weights of a WiMAE encoder.", where=where, why=why)
        (width, values), (_, places, _), (hidden, _) = (state[part].shape for part in parts)
        if width % heads:
            raise ModelError("The width is no multiple of the heads.", where=where, why=f"{width}, {heads} heads")
        depth = 1 + max(int(match[1]) for match in map(_LAYER.match, state) if match)
        return cls(values, width, depth, heads, hidden, places)


_LAYER = re.compile(r"transformer\.layers\.(\d+)\.")


class Attention(nn.Module):
    """Multi-head self-attention; the three input maps are one matrix."""

    def __init__(self, shape: WimaeShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * shape.width, shape.width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * shape.width))
        self.out_proj = nn.Linear(shape.width, shape.width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot's uniform weights, no bias: as PyTorch's own attention."""
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.in_proj_bias)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        parts = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        q, k, v = (part.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for part in parts)
        out: Tensor = self.out_proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class WimaeLayer(nn.Module):
    """norm(x + attention(x)), then norm(y + MLP(y)) with GELU."""

    def __init__(self, shape: WimaeShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.linear1, self.linear2 = nn.Linear(shape.width, shape.hidden), nn.Linear(shape.hidden, shape.width)
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        x = self.norm1(x + self.self_attn(x))
        out: Tensor = self.norm2(x + self.linear2(functional.gelu(self.linear1(x))))
        return out


class Positions(nn.Module):
    """Learned positions."""

    def __init__(self, shape: WimaeShape) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.empty(1, shape.places, shape.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal, cut at two deviations of 0.02."""
        nn.init.trunc_normal_(self.position_embeddings, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Added to tokens [n, token, d]."""
        return x + self.position_embeddings[:, : x.shape[1]]


class Stack(nn.Module):
    """Layers one after the other; no norm follows."""

    def __init__(self, shape: WimaeShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(WimaeLayer(shape) for _ in range(shape.depth))

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        for layer in self.layers:
            x = layer(x)
        return x


class WimaeEncoder(nn.Module):
    """Linear embedding, learned positions, layers; no class token, no mask."""

    def __init__(self, shape: WimaeShape) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(shape.values, shape.width)
        self.positional_encoding, self.transformer = Positions(shape), Stack(shape)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [n, token, value] → features [n, token, d]."""
        out: Tensor = self.transformer(self.positional_encoding(self.linear_1(patches)))
        return out
