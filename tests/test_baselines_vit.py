"""The random vision transformer: reproducible, independent of batch and of global state, shaped as declared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers_models import FakePart, complex_normal, make_batch, make_spec, ready, same_whatever_the_batch
from wbench_baselines.vit import DEPTH, HEADS, WIDTH, RandomViT, VisionTransformer

SPEC = make_spec("los-nlos", "classify")


def part(n: int, *shape: int) -> FakePart:
    return FakePart(make_batch(complex_normal(np.random.default_rng(n), n, *shape)), {})


@pytest.mark.parametrize("shape", [(1, 1, 8, 32), (1, 1, 32, 32)])
def test_batch_order_and_size_change_nothing(shape) -> None:
    data = part(37, *shape)
    features = same_whatever_the_batch(ready(RandomViT(), SPEC, data).embed, data.batch)
    assert features.shape == (37, shape[-2] * shape[-1] // 16, WIDTH)
    assert features.dtype == np.float32
    assert features.std(axis=0).min() > 1e-3


def test_same_weights_for_everyone_and_no_global_state() -> None:
    data = part(3, 1, 1, 8, 32)
    torch.manual_seed(1)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first = ready(RandomViT(), SPEC, data).embed(data.batch)
    assert torch.equal(state, torch.random.get_rng_state())
    assert threads == torch.get_num_threads()
    torch.manual_seed(2)
    model = ready(RandomViT(), SPEC, data, seed=7)
    np.testing.assert_array_equal(model.embed(data.batch), first)
    # A changed draw is a new revision.
    drawn = model.module.embed.weight[0, :3].detach()
    np.testing.assert_allclose(drawn, [-0.00448057, -0.11227363, 0.08143586], atol=1e-7)


def test_parameters_are_those_declared() -> None:
    data = part(2, 1, 1, 8, 32)
    layer = 12 * WIDTH**2 + 13 * WIDTH
    expected = (32 + 1) * WIDTH + DEPTH * layer + 2 * WIDTH
    assert ready(RandomViT(), SPEC, data).count_parameters() == expected == RandomViT.info.parameters


def test_other_shapes_are_padded_and_folded() -> None:
    model = ready(RandomViT(), SPEC, part(2, 1, 1, 8, 32))
    data = part(5, 2, 3, 6, 13)
    assert model.embed(data.batch).shape == (5, 2 * 3 * 2 * 4, WIDTH)
    padded = np.zeros((5, 2, 3, 8, 16), dtype=np.complex64)
    padded[..., :6, :13] = data.batch.x["H"]
    np.testing.assert_allclose(model.embed(make_batch(padded)), model.embed(data.batch), rtol=1e-5, atol=1e-6)


def test_layers_are_the_textbook_encoder() -> None:
    """Against torch's own encoder layer with the same weights."""
    network = VisionTransformer(torch.Generator().manual_seed(0)).eval()
    ours = network.layers[0]
    theirs = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    pairs = {
        "self_attn.in_proj": ours.query_key_value, "self_attn.out_proj.": ours.project, "linear1.": ours.widen,
        "linear2.": ours.narrow, "norm1.": ours.norm1, "norm2.": ours.norm2,
    }  # fmt: skip
    state = {}
    for name, module in pairs.items():
        joint = "_" if name.endswith("proj") else ""
        state |= {f"{name}{joint}weight": module.weight, f"{name}{joint}bias": module.bias}
    theirs.load_state_dict(state)
    x = torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_other_kinds_are_refused_with_a_reason() -> None:
    assert "reconstruct" in RandomViT().supports(make_spec("channel-prediction", "reconstruct"))
