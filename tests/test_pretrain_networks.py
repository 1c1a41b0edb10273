"""Tokens, masks, losses and networks of the reference foundation models, against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wbench.errors import SpecError
from wbench.task.batch import ArrayMeta, ChannelMeta
from wbench.training import seeded
from wbench_baselines.pretraining.autoencoder import AutoencoderNetwork, AutoencoderParams, MaskedReconstruction
from wbench_baselines.pretraining.contrastive import ContrastiveReconstruction, info_nce
from wbench_baselines.pretraining.masked_patches import MaskedPatches
from wbench_baselines.pretraining.seen import Masks, Noise, draw_mask, noisy, part_of_array, scale_of, tokens_of
from wbench_baselines.pretraining.slot_tokens import OCTAVES, fourier
from wbench_baselines.pretraining.slots import FeatureMasks, _draw
from wbench_baselines.pretraining.tokens import from_tokens, grid_of, ordered, positions, restored, to_tokens

SHAPE = (5, 1, 6, 9)  # time, rx, tx, subcarrier: no multiple of the patch anywhere
PATCH = (4, 4, 4)


def meta(shape: tuple[int, ...] = SHAPE, dims: tuple[str, ...] = ("time", "rx", "tx", "subcarrier")) -> ChannelMeta:
    return ChannelMeta(shape, dims, 3.5e9, 30e3, 1e-3, ArrayMeta(1, 6), ArrayMeta(1, 1))


def channels(n: int, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, *shape)) + 1j * rng.standard_normal((n, *shape))).astype(np.complex64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_tokens_are_the_patches_and_come_back() -> None:
    h = channels(3)
    grid = torch.from_numpy(grid_of(h, meta()))
    tokens, counts = to_tokens(grid, PATCH)
    assert counts == (2, 2, 3)
    assert tokens.shape == (3, 12, 128)
    assert torch.equal(from_tokens(tokens, counts, PATCH, (5, 6, 9)), grid)
    # Time slowest, subcarrier fastest: token 1 holds snapshots 0-3, antennas 0-3, subcarriers 4-7.
    block = h[0, :4, 0, :4, 4:8]
    assert np.array_equal(tokens[0, 1].numpy(), np.stack([block.real, block.imag]).ravel())
    assert tokens[0, 11].count_nonzero() == 2 * 1 * 2 * 1  # the last corner is padding but for this


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        (SHAPE, ("time", "rx", "tx", "subcarrier")),
        ((2, 3, 4), ("rx", "tx", "subcarrier")),
        ((3, 2, 4), ("bs", "time", "x")),
    ],
)
def test_any_dimensions_are_ordered_and_restored(shape: tuple[int, ...], dims: tuple[str, ...]) -> None:
    h, about = channels(2, shape), meta(shape, dims)
    grid = ordered(h, about)
    assert grid.ndim == 4
    assert np.array_equal(restored(grid, about), h)
    if dims[0] == "bs":
        assert np.array_equal(grid[:, 1, 2], h[:, 2, 1])


def test_positions_tell_every_patch_apart() -> None:
    places = positions((3, 4, 5), 32)
    assert torch.pdist(places).min() > 0.1
    assert torch.equal(places[:5, 8:20], positions((1, 4, 1), 32)[:1, 8:20].expand(5, -1))  # the antenna's share
    assert places[0].max() == 1.0  # cosines of 0


def test_masks_hide_what_they_say() -> None:
    counts = (4, 2, 6)
    later, name = draw_mask(counts, Masks(random=0, time=1), generator())
    assert name == "time"
    assert torch.equal(later.view(counts), (torch.arange(4) < 2)[:, None, None].expand(counts))
    upper, name = draw_mask(counts, Masks(random=0, frequency=1), generator())
    assert name == "frequency"
    assert torch.equal(upper.view(counts), (torch.arange(6) < 3).expand(counts))
    some, name = draw_mask(counts, Masks(hidden=0.75), generator())
    assert (name, int(some.sum())) == ("random", 12)
    assert draw_mask((1, 2, 3), Masks(random=0, time=1), generator())[1] == "random"  # one snapshot: nothing is later
    drawn = {draw_mask(counts, Masks(time=1, frequency=1, uneven=1), generator(seed))[1] for seed in range(20)}
    assert drawn == {"random", "time", "frequency"}
    cuts = {int(draw_mask((9, 1, 1), Masks(random=0, time=1, uneven=1), generator(s))[0].sum()) for s in range(80)}
    assert cuts == set(range(1, 9))


def test_scale_and_noise_are_those_of_the_benchmark() -> None:
    h = channels(400)
    tokens, real, counts = tokens_of(torch.from_numpy(h), PATCH, generator())
    seen, _ = draw_mask(counts, Masks(random=0, time=1), generator())
    rms = np.sqrt(np.mean(np.abs(h[:, :4]) ** 2, axis=(1, 2, 3, 4)))
    np.testing.assert_allclose(scale_of(tokens, real, seen)[:, 0, 0], rms, rtol=1e-5)
    whole = np.sqrt(np.mean(np.abs(h) ** 2, axis=(1, 2, 3, 4)))
    np.testing.assert_allclose(scale_of(tokens, real)[:, 0, 0], whole, rtol=1e-5)
    clean = tokens / scale_of(tokens, real)
    error = (noisy(clean, real, Noise(low=7.0, high=7.0, clean=0.0), generator(1)) - clean)[:, real.bool()]
    assert 20 * np.log10(1 / float(error.square().mean().mul(2).sqrt())) == pytest.approx(7.0, abs=0.05)
    same = noisy(clean, real, Noise(clean=1.0), generator(1))
    assert torch.equal(same, clean)
    # The random phase turns, it does not mix: products of entries of one sample keep their magnitude and angle.
    back = from_tokens(tokens, counts, PATCH, (5, 6, 9))
    turned = torch.complex(back[:, 0], back[:, 1])
    ratio = turned / torch.from_numpy(h[:, :, 0])
    assert float((ratio - ratio[:, :1, :1, :1]).abs().max()) < 1e-4
    assert float(ratio[:, 0, 0, 0].mean().abs()) < 0.15


def test_a_part_of_the_array_is_adjacent() -> None:
    h = torch.from_numpy(channels(2, (1, 1, 8, 3)))
    starts = set()
    for seed in range(30):
        part = part_of_array(h, (4, 16), generator(seed))
        (start,) = [s for s in range(5) if torch.equal(part, h[:, :, :, s : s + 4])]
        starts.add(start)
    assert starts == set(range(5))
    assert part_of_array(h, (16,), generator()) is h


def test_the_encoder_never_sees_hidden_patches() -> None:
    network = seeded(
        lambda: AutoencoderNetwork(AutoencoderParams(width=16, depth=1, heads=2, decoder_width=16)), 0, "t"
    )
    tokens, counts = to_tokens(torch.from_numpy(grid_of(channels(2), meta())), PATCH)
    seen = torch.zeros(12, dtype=torch.bool)
    seen[[1, 4, 7]] = True
    guess, features = network(tokens, counts, seen)
    other = torch.where(seen[:, None], tokens, 9.0)
    assert torch.equal(network(other, counts, seen)[0], guess)
    assert features.shape == (2, 3, 16)
    # What the decoder gets is at its own place: with the decoder's layers cut out, each visible feature is in its row.
    network.decoder, network.head = torch.nn.Identity(), torch.nn.Identity()
    placed = network.decode(features, counts, seen) - positions(counts, 16)
    torch.testing.assert_close(placed[:, seen], network.narrow(features))
    torch.testing.assert_close(placed[:, ~seen], network.mask_token.expand(2, 9, -1))


def test_info_nce_is_cross_entropy_of_cosines() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6, 5))
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T / 0.3
    both = [np.mean(np.log(np.exp(c).sum(axis=1)) - np.diag(c)) for c in (cosine, cosine.T)]
    assert float(info_nce(torch.from_numpy(a), torch.from_numpy(b), 0.3)) == pytest.approx(np.mean(both), rel=1e-5)
    same = torch.from_numpy(np.eye(4))
    assert float(info_nce(same, same, 0.01)) < 1e-6


@pytest.mark.parametrize("pretext", [MaskedPatches, MaskedReconstruction, ContrastiveReconstruction])
def test_losses_are_of_hidden_patches_and_keyed(pretext: type) -> None:
    small = {"patch": (1, 4, 4), "width": 16, "depth": 1, "heads": 2}
    objective = pretext({"network": small})
    network = seeded(objective.build, 0, "t")
    batch = {"H": torch.from_numpy(1e-5 * channels(6, (2, 1, 8, 8)))}  # path loss: scaled away
    first = objective.loss(network, batch, generator(3))
    assert torch.equal(first, objective.loss(network, batch, generator(3)))
    assert not torch.equal(first, objective.loss(network, batch, generator(4)))
    first.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())
    with torch.no_grad():  # answering zeros costs half the power of a complex entry of unit power in each real part
        for weight in network.head.parameters():
            weight.zero_()
        if pretext is MaskedPatches:
            assert float(objective.loss(network, batch, generator(5))) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(SpecError, match="not valid"):
        pretext({"network": {**small, "width": 20}})
    with pytest.raises(SpecError, match="colour"):
        pretext({"colour": "red"})


def test_fourier_encoding() -> None:
    x = torch.tensor([0.0, 1.5])
    found = fourier(x)[1].numpy()
    angle = 1.5 * np.pi / 4 * 2.0 ** np.arange(OCTAVES)
    np.testing.assert_allclose(found, [1.5, *np.sin(angle), *np.cos(angle)], atol=1e-5)


def test_slot_masks_are_of_every_sort() -> None:
    def of(**weights: float) -> torch.Tensor:
        zero = {"last": 0.0, "slot": 0.0, "feature": 0.0, "tokens": 1e-9}
        return _draw(50, FeatureMasks(**{**zero, **weights}), generator())

    assert of(last=1.0).all(dim=2)[:, -1].all()
    assert not of(last=1.0)[:, :-1].any()
    one = of(slot=1.0)
    assert torch.equal(one.any(dim=2), one.all(dim=2))
    assert set(one.all(dim=2).int().argmax(dim=1).tolist()) == set(range(5))
    assert (of(feature=1.0).all(dim=1).sum(dim=1) == 1).all()
    assert float(of(tokens=1.0).float().mean()) == pytest.approx(0.3, abs=0.03)
