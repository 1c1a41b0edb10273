"""The networks of LWM 1.0 and 1.1: encoders over patches of one antenna × subcarrier map.

S. Alikhani, G. Charan, A. Alkhateeb, Large Wireless Model (LWM): A Foundation Model for Wireless Channels, arXiv
2411.08872, and the notes to version 1.1. Names of weights are those of the published files. Weights that
the published forward pass never uses are kept, so that the files fit and the counts are the published ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LWM_1_0", "LWM_1_1", "LwmNetwork", "LwmShape"]


@dataclass(frozen=True)
class LwmShape:
    """Sizes of a network.

    Attributes
    ----------
    length : int
        Real values of a token.
    width, heads, head_width : int
        Of the tokens, and of attention; 1.0 has 12 heads of ⌊64 / 12⌋ = 5.
    places : int
        Positions that are learned, the class token's included.
    second : bool
        Whether it is version 1.1, whose layers are normalised differently.
    depth : int
        Layers.
    """

    length: int
    width: int
    heads: int
    head_width: int
    places: int
    second: bool
    depth: int = 12


LWM_1_0 = LwmShape(length=16, width=64, heads=12, head_width=5, places=129, second=False)
LWM_1_1 = LwmShape(length=32, width=128, heads=8, head_width=16, places=513, second=True)


class Normalisation(nn.Module):
    """α (x − mean) / (std + 10⁻⁶) + b, with the unbiased standard deviation: not PyTorch's layer norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha, self.bias = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        nn.init.ones_(self.alpha)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[…, d] → […, d]."""
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        return self.alpha * (x - mean) / (deviation + 1e-6) + self.bias


class TokenEmbedding(nn.Module):
    """Linear map and learned position, normalised."""

    def __init__(self, shape: LwmShape) -> None:
        super().__init__()
        self.proj = nn.Linear(shape.length, shape.width)
        self.pos_embed = nn.Embedding(shape.places, shape.width)
        self.norm = Normalisation(shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, value] → [n, token, d]."""
        out: Tensor = self.norm(self.proj(x) + self.pos_embed.weight[: x.shape[1]])
        return out


class Attention(nn.Module):
    """x + multi-head self-attention of x."""

    def __init__(self, shape: LwmShape) -> None:
        super().__init__()
        inner = shape.heads * shape.head_width
        self.heads = shape.heads
        self.W_Q, self.W_K, self.W_V = (nn.Linear(shape.width, inner) for _ in range(3))
        self.linear = nn.Linear(inner, shape.width)
        if not shape.second:
            self.norm = Normalisation(shape.width)  # in the files of 1.0, never used

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.W_Q, self.W_K, self.W_V))
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = x + self.linear(mixed)
        return out


class FeedForward(nn.Module):
    """Linear, ReLU, linear."""

    def __init__(self, shape: LwmShape) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(shape.width, 4 * shape.width), nn.Linear(4 * shape.width, shape.width)
        if not shape.second:
            self.norm = Normalisation(shape.width)  # in the files of 1.0, never used

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        out: Tensor = self.fc2(functional.relu(self.fc1(x)))
        return out


class LwmLayer(nn.Module):
    """One layer.

    1.0: y = norm(x + attention(x)), then y + MLP(y), which is not normalised. 1.1 adds its input twice:
    y = norm1(2 x + attention(x)), then norm2(y + MLP(y)).
    """

    def __init__(self, shape: LwmShape) -> None:
        super().__init__()
        self.second = shape.second
        self.enc_self_attn, self.pos_ffn = Attention(shape), FeedForward(shape)
        if shape.second:
            self.norm1, self.norm2 = Normalisation(shape.width), Normalisation(shape.width)
        else:
            self.norm = Normalisation(shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, token, d] → [n, token, d]."""
        attended = self.enc_self_attn(x)
        y = self.norm1(x + attended) if self.second else self.norm(attended)
        out: Tensor = y + self.pos_ffn(y)
        return self.norm2(out) if self.second else out


class LwmNetwork(nn.Module):
    """Embedding and layers; the head of pre-training is there because the files have it."""

    def __init__(self, shape: LwmShape) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(shape)
        self.layers = nn.ModuleList(LwmLayer(shape) for _ in range(shape.depth))
        self.linear, self.norm = nn.Linear(shape.width, shape.width), Normalisation(shape.width)
        self.decoder = nn.Linear(shape.width, shape.length, bias=False)
        self.decoder_bias = nn.Parameter(torch.empty(shape.length))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The bias that belongs to no other module: 0."""
        nn.init.zeros_(self.decoder_bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [n, token, value], the class token first → features [n, token, d]."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = x
        return out

    def reconstruct(self, features: Tensor) -> Tensor:
        """The head of masked channel modelling: features [n, token, d] → tokens [n, token, value]."""
        out: Tensor = self.decoder(self.norm(functional.relu(self.linear(features)))) + self.decoder_bias
        return out
