"""Names and shapes of the weights in published files, written down from the public code, and random values for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int, weight: str = "weight") -> Shapes:
    return {f"{name}.{weight}": (width,), f"{name}.bias": (width,)}


def lwm(version: str) -> Shapes:
    """LWM 1.0: 603 712 values. 1.1: 2 470 304, and names begin with ``module.``."""
    second = version == "1.1"
    length, width, inner, places = (32, 128, 128, 513) if second else (16, 64, 60, 129)
    shapes = linear("embedding.proj", length, width) | {"embedding.pos_embed.weight": (places, width)}
    shapes |= norm("embedding.norm", width, "alpha")
    for layer in (f"layers.{i}" for i in range(12)):
        for part in ("W_Q", "W_K", "W_V"):
            shapes |= linear(f"{layer}.enc_self_attn.{part}", width, inner)
        shapes |= linear(f"{layer}.enc_self_attn.linear", inner, width)
        shapes |= linear(f"{layer}.pos_ffn.fc1", width, 4 * width) | linear(f"{layer}.pos_ffn.fc2", 4 * width, width)
        for name in ("norm1", "norm2") if second else ("enc_self_attn.norm", "pos_ffn.norm", "norm"):
            shapes |= norm(f"{layer}.{name}", width, "alpha")
    shapes |= linear("linear", width, width) | norm("norm", width, "alpha")
    shapes |= {"decoder.weight": (length, width), "decoder_bias": (length,)}
    return {f"module.{name}": shape for name, shape in shapes.items()} if second else shapes


#: Width, encoder layers, decoder layers, MLP ratio.
WIFO = {"tiny": (64, 6, 4, 2), "little": (128, 6, 4, 2), "small": (256, 6, 4, 2), "base": (512, 6, 4, 2)}
WIFO |= {"large": (768, 8, 4, 4)}


def wifo(size: str) -> Shapes:
    """The paper's table: 0.3, 1.4, 5.5, 21.6 and 86.1 million."""
    width, depth, decoder_depth, ratio = WIFO[size]
    tables = {"pos_embed_spatial": 64, "pos_embed_temporal": 4, "decoder_pos_embed_fre": 32}
    tables |= {"decoder_pos_embed_antenna": 4, "decoder_pos_embed_spatial": 64, "decoder_pos_embed_temporal": 4}
    shapes: Shapes = {name: (1, places, width) for name, places in tables.items()} | {"mask_token": (1, 1, width)}
    conv = "Embedding.value_embedding.tokenConv"
    shapes |= {f"{conv}.weight": (width, 2, 4, 4, 4), f"{conv}.bias": (width,)}
    layers = [f"blocks.{i}" for i in range(depth)] + [f"decoder_blocks.{i}" for i in range(decoder_depth)]
    for layer in layers:
        shapes |= norm(f"{layer}.norm1", width) | norm(f"{layer}.norm2", width)
        for part in "qkv":
            shapes |= linear(f"{layer}.attn.{part}", width, width)
        shapes |= linear(f"{layer}.attn.proj", width, width)
        shapes |= linear(f"{layer}.mlp.fc1", width, ratio * width) | linear(f"{layer}.mlp.fc2", ratio * width, width)
    shapes |= norm("norm", width) | norm("decoder_norm", width) | linear("decoder_embed", width, width)
    shapes |= linear("decoder_pred_dual.0", width, 128) | linear("decoder_pred_dual.2", 128, 128)
    return shapes | linear("decoder_pred", width, 128)


def wimae(contrastive: bool) -> Shapes:
    """WiMAE: 554 128 values, 410 944 of them the encoder's; with the contrastive head 570 704."""
    shapes: Shapes = {"decoder.mask_token": (1, 1, 64)} | linear("encoder.linear_1", 16, 64)
    for part, depth in (("encoder", 12), ("decoder", 4)):
        shapes |= {f"{part}.positional_encoding.position_embeddings": (1, 128, 64)}
        for layer in (f"{part}.transformer.layers.{i}" for i in range(depth)):
            shapes |= {f"{layer}.self_attn.in_proj_weight": (192, 64), f"{layer}.self_attn.in_proj_bias": (192,)}
            shapes |= linear(f"{layer}.self_attn.out_proj", 64, 64)
            shapes |= linear(f"{layer}.linear1", 64, 128) | linear(f"{layer}.linear2", 128, 64)
            shapes |= norm(f"{layer}.norm1", 64) | norm(f"{layer}.norm2", 64)
    shapes |= linear("decoder.linear", 64, 16)
    if contrastive:
        shapes |= linear("contrastive_head.proj_head.0", 64, 128) | linear("contrastive_head.proj_head.2", 128, 64)
    return shapes


def count(shapes: Shapes) -> int:
    return sum(int(torch.Size(shape).numel()) for shape in shapes.values())


def filled(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Random values: matrices of a size that keeps activations near 1, norms near 1."""
    generator = torch.Generator().manual_seed(seed)

    def values() -> Iterator[tuple[str, Tensor]]:
        for name, shape in shapes.items():
            scale = torch.Size(shape[1:]).numel() ** -0.5 if len(shape) > 1 else 0.1
            tensor = scale * torch.randn(shape, generator=generator)
            near_one = len(shape) == 1 and name.rpartition(".")[2] in ("weight", "alpha")
            yield name, tensor + 1 if near_one else tensor

    return dict(values())


def as_checkpoint(state: dict[str, Tensor]) -> dict[str, Any]:
    """What the trainer of ContraWiMAE saves."""
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 3e-4}]}
    config = {"model": {"type": "contrawimae", "patch_size": [16, 1]}}
    return {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": optimizer, "config": config}
