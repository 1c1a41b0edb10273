"""Our networks against others: torch's own transformer layers, and plain loops in double precision."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests import published_weights as published
from wbench.errors import ModelError
from wbench.heads.finetune import redraw
from wbench.weights import fill_weights, rename_weights
from wbench_baselines.foundation.lwm_network import LWM_1_0, LWM_1_1, LwmNetwork
from wbench_baselines.foundation.wifo import PREFIXES, UNUSED
from wbench_baselines.foundation.wifo_network import WifoNetwork, WifoShape, masked_places, positions
from wbench_baselines.foundation.wimae_network import WimaeEncoder, WimaeShape

State = dict[str, Tensor]


def part_of(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


# ----------------------------------------------------------------------------------------------------------- WiMAE


def test_wimae_is_torchs_encoder() -> None:
    state = part_of(published.filled(published.wimae(False)), "encoder.")
    network = WimaeEncoder(WimaeShape.of(state, 16, "w")).eval()
    fill_weights(network, state, where="w")
    layer = nn.TransformerEncoderLayer(64, 16, 128, activation="gelu", batch_first=True)
    other = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False).eval()
    other.load_state_dict(part_of(state, "transformer."))
    patches = torch.randn(3, 128, 16, generator=torch.Generator().manual_seed(1))
    start = functional.linear(patches, state["linear_1.weight"], state["linear_1.bias"])
    with torch.no_grad():
        wanted = other(start + state["positional_encoding.position_embeddings"])
        torch.testing.assert_close(network(patches), wanted, atol=2e-5, rtol=1e-5)
    assert sum(p.numel() for p in network.parameters()) == 410_944


# ------------------------------------------------------------------------------------------------------------- LWM


def lwm_reference(state: State, tokens: npt.NDArray[np.float64], heads: int, second: bool) -> npt.NDArray[np.float64]:
    """One sample [token, value] in double precision, with loops over heads and tokens."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}

    def affine(name: str, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def normed(name: str, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        centred = x - x.mean(1, keepdims=True)
        return w[f"{name}.alpha"] * centred / (x.std(1, ddof=1, keepdims=True) + 1e-6) + w[f"{name}.bias"]

    x = normed("embedding.norm", affine("embedding.proj", tokens) + w["embedding.pos_embed.weight"][: len(tokens)])
    for at in (f"layers.{i}" for i in range(12)):
        q, k, v = (affine(f"{at}.enc_self_attn.W_{part}", x) for part in "QKV")
        size = q.shape[1] // heads
        mixed = np.zeros_like(q)
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            for i in range(len(x)):
                weight = np.exp(k[:, own] @ q[i, own] / np.sqrt(size))
                mixed[i, own] = weight @ v[:, own] / weight.sum()
        attended = x + affine(f"{at}.enc_self_attn.linear", mixed)
        y = normed(f"{at}.norm1", x + attended) if second else normed(f"{at}.norm", attended)
        x = y + affine(f"{at}.pos_ffn.fc2", np.maximum(affine(f"{at}.pos_ffn.fc1", y), 0))
        x = normed(f"{at}.norm2", x) if second else x
    return x


@pytest.mark.parametrize(("version", "parameters"), [("1.0", 603_712), ("1.1", 2_470_304)])
def test_lwm_has_the_published_size_and_forward(version: str, parameters: int) -> None:
    shapes = published.lwm(version)
    assert published.count(shapes) == parameters
    state = rename_weights(published.filled(shapes), {"module.": ""})
    shape = LWM_1_1 if version == "1.1" else LWM_1_0
    network = LwmNetwork(shape).eval()
    fill_weights(network, state, where="w")
    assert sum(p.numel() for p in network.parameters()) == parameters
    tokens = np.random.default_rng(2).normal(size=(9, shape.length))
    with torch.no_grad():
        ours = network(torch.from_numpy(tokens[None]).float())[0].numpy()
        head = network.reconstruct(torch.from_numpy(ours)).numpy()
    wanted = lwm_reference(state, tokens, shape.heads, shape.second)
    np.testing.assert_allclose(ours, wanted, atol=1e-4 * np.abs(wanted).max())
    assert head.shape == (9, shape.length)


# ------------------------------------------------------------------------------------------------------------ WiFo


def wifo_state(size: str = "tiny") -> State:
    state = rename_weights(published.filled(published.wifo(size)), PREFIXES)
    return {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}


@pytest.mark.parametrize(
    ("size", "in_file", "used"),
    [
        ("tiny", 391_616, 355_776),  # 0.3 million in the paper
        ("little", 1_430_016, 1_374_976),  # 1.4
        ("small", 5_497_472, 5_404_032),  # 5.5
        ("base", 21_595_008, 21_424_768),  # 21.6, and 21.60 in its table of costs
        ("large", 86_093_440, 85_846_400),  # 86.1
    ],
)
def test_wifo_has_the_published_sizes(size: str, in_file: int, used: int) -> None:
    shapes = published.wifo(size)
    assert published.count(shapes) == in_file
    with torch.device("meta"):
        state = rename_weights({name: torch.empty(shape) for name, shape in shapes.items()}, PREFIXES)
        state = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
        shape = WifoShape.of(state, 8, "w")
        network = WifoNetwork(shape)
    width, depth, decoder_depth, ratio = published.WIFO[size]
    assert shape == WifoShape(width, depth, decoder_depth, ratio * width)
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == {
        k: tuple(v.shape) for k, v in state.items()
    }
    assert sum(p.numel() for p in network.parameters()) == used


def torch_layers(state: State, prefix: str, depth: int) -> nn.Sequential:
    """torch's pre-norm layers with the same weights."""
    layers = []
    for at in (f"{prefix}.{i}" for i in range(depth)):
        layer = nn.TransformerEncoderLayer(
            64, 8, 128, activation="gelu", batch_first=True, norm_first=True, layer_norm_eps=1e-6
        )
        own = {"norm1": "norm1", "norm2": "norm2", "attn.proj": "self_attn.out_proj"}
        own |= {"mlp.fc1": "linear1", "mlp.fc2": "linear2"}
        weights = {f"{b}.{kind}": state[f"{at}.{a}.{kind}"] for a, b in own.items() for kind in ("weight", "bias")}
        for kind in ("weight", "bias"):
            weights[f"self_attn.in_proj_{kind}"] = torch.cat([state[f"{at}.attn.{part}.{kind}"] for part in "qkv"])
        layer.load_state_dict(weights)
        layers.append(layer)
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_wifo_is_a_masked_autoencoder_of_torchs_layers(axis: str) -> None:
    state, grid = wifo_state(), (4, 2, 4)
    network = WifoNetwork(WifoShape.of(state, 8, "w")).eval()
    fill_weights(network, state, where="w")
    maps = torch.randn(2, 2, 16, 8, 16, generator=torch.Generator().manual_seed(3))
    everything = list(itertools.product(*map(range, grid)))
    seen = [i for i, (t, _, k) in enumerate(everything) if (t < 2 if axis == "time" else k < 2)]
    cut = [tuple(slice(4 * at, 4 * at + 4) for at in place) for place in everything]
    cubes = [maps[:, :, t, a, k] for t, a, k in cut]
    places = positions(64, grid)
    with torch.no_grad():
        embed = state["patches.weight"].flatten(1)
        tokens = []
        for i in seen:
            t, _, k = everything[i]
            place = places[t if axis == "time" else k]  # as published: the step's number, not the patch's
            tokens.append(cubes[i].flatten(1) @ embed.T + state["patches.bias"] + place)
        x = torch_layers(state, "blocks", 6)(torch.stack(tokens, dim=1))
        encoded = functional.layer_norm(x, (64,), state["norm.weight"], state["norm.bias"], 1e-6)
        number = torch.tensor(seen)
        ours = network.encode(maps, number, masked_places(number, grid, "time" if axis == "time" else "frequency"))
        torch.testing.assert_close(ours, encoded, atol=2e-5, rtol=1e-4)

        widened = functional.linear(encoded, state["decoder_embed.weight"], state["decoder_embed.bias"])
        rows = [widened[:, seen.index(i)] if i in seen else state["mask_token"][0].expand(2, -1) for i in range(32)]
        y = torch_layers(state, "decoder_blocks", 4)(torch.stack(rows, dim=1) + places)
        y = functional.layer_norm(y, (64,), state["decoder_norm.weight"], state["decoder_norm.bias"], 1e-6)
        values = functional.linear(y, state["decoder_pred.weight"], state["decoder_pred.bias"])
        wanted = torch.empty_like(maps)
        for i, (t, a, k) in enumerate(cut):
            cube = values[:, i].view(2, 4, 4, 4, 2)  # snapshot, antenna, subcarrier, part
            for part in range(2):
                wanted[:, part, t, a, k] = cube[..., part]
        torch.testing.assert_close(network.decode(ours, number, grid), wanted, atol=5e-5, rtol=1e-4)


def test_without_a_mask_every_patch_has_its_own_position() -> None:
    state = wifo_state()
    network = WifoNetwork(WifoShape.of(state, 8, "w")).eval()
    fill_weights(network, state, where="w")
    maps = torch.zeros(1, 2, 8, 8, 8)
    numbers = torch.arange(8)
    torch.testing.assert_close(network.encode(maps), network.encode(maps, numbers, numbers))
    assert not torch.allclose(
        network.encode(maps), network.encode(maps, numbers, masked_places(numbers, (2, 2, 2), "time"))
    )


def test_positions_are_sines_and_cosines_of_the_three_axes() -> None:
    table = positions(64, (2, 3, 5)).numpy()
    t, a, k = 1, 2, 4
    row = table[(t * 3 + a) * 5 + k]
    wanted = []
    for place, share in ((t, 22), (a, 22), (k, 20)):
        angles = [place / 10_000 ** (i / (share / 2)) for i in range(share // 2)]
        wanted += [np.sin(x) for x in angles] + [np.cos(x) for x in angles]
    np.testing.assert_allclose(row, wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["lwm", "wimae", "wifo"])
def test_all_weights_can_be_drawn_anew(name: str) -> None:
    shape = WifoShape(64, 1, 1, 128)
    build = {"lwm": lambda: LwmNetwork(LWM_1_0), "wimae": lambda: WimaeEncoder(WimaeShape(depth=1))}
    network = build.get(name, lambda: WifoNetwork(shape))()
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(7)
    redraw(network, name)
    assert not any((weight == 7).any() for weight in network.parameters())


def test_weights_of_other_models_are_named() -> None:
    with pytest.raises(ModelError, match="no weights of WiFo"):
        WifoShape.of(published.filled({"a.weight": (2, 2)}), 8, "w")
    with pytest.raises(ModelError, match="No published WiFo has this size"):
        WifoShape.of(
            {"patches.weight": torch.zeros(96, 2, 4, 4, 4), "blocks.0.mlp.fc1.weight": torch.zeros(8, 96)}, 8, "w"
        )
    with pytest.raises(ModelError, match="no weights of a WiMAE encoder"):
        WimaeShape.of(wifo_state(), 16, "w")
