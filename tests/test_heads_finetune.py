"""Fine-tuning: which weights move, that it learns what a frozen network cannot tell, and who cannot be tuned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
)
from wbench.errors import ModelError, UsageError
from wbench.heads import TUNED_HEADS, FineTuned, Probe, build_head
from wbench.heads.finetune import redraw
from wbench.model import Embedder, ModelInfo, TorchEmbedder
from wbench.training import TrainingSettings, seeded

SPEC = make_spec("los-nlos", "classify")


class Small(TorchEmbedder):
    """Two layers over tokens that are antennas; the first one throws the signal away until it is trained."""

    info = ModelInfo("test/small", revision="1")

    def setup(self, spec: Any, meta: Any) -> None:
        super().setup(spec, meta)
        self.module = seeded(
            lambda: nn.ModuleDict({"a": nn.Linear(8, 6), "b": nn.Linear(6, 6), "norm": nn.LayerNorm(6)}), 0, "small"
        )
        with torch.no_grad():
            self.module["a"].weight[:, :4] = 0  # type: ignore[index]

    def inputs(self, batch: Any) -> Any:
        h = batch.x["H"][:, 0, 0]
        return {"real": h.real.astype(np.float32), "imag": h.imag.astype(np.float32)}

    def forward_tokens(self, inputs: Any) -> Any:
        m: Any = self.module
        x = m["a"](torch.cat([inputs["real"], inputs["imag"]], dim=-1))
        return m["norm"](torch.tanh(m["b"](torch.tanh(x))))

    def layers(self) -> Any:
        m: Any = self.module
        return [m["a"], nn.ModuleList([m["b"], m["norm"]])]


def part(n: int, seed: int, tokens: int = 6) -> FakePart:
    """The sign of the mean real part."""
    g = np.random.default_rng(seed)
    channel = complex_normal(g, n, 1, 1, tokens, 4)
    label = g.integers(2, size=n)
    channel += (2 * label - 1)[:, None, None, None, None] * 0.5
    return FakePart(make_batch(channel, make_meta((1, 1, tokens, 4), classes=2)), {"label": label})


def tuned(head: str = "linear", layers: int | None = None, rate: float = 1.0, seed: int = 0) -> Any:
    model: Any = FineTuned(Small(), head, layers)
    model.settings, model.steps, model.embedder_rate = TrainingSettings(4, 32, lr=1e-2, patience=4), 60, rate
    return ready(model, SPEC, part(160, 0), part(50, 1), seed)


def accuracy(model: Any) -> float:
    test = part(200, 2)
    return float((model.predict(test.batch).argmax(axis=1) == test.truth["label"]).mean())


def test_what_the_frozen_features_do_not_tell_is_learned() -> None:
    frozen = ready(Probe(Small(), build_head("linear")), SPEC, part(160, 0), part(50, 1))
    assert accuracy(frozen) < 0.7
    model = tuned()
    assert accuracy(model) > 0.9
    scores = same_whatever_the_batch(model.predict, part(40, 3).batch)  # not one bit
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1)


@pytest.mark.parametrize(("layers", "moved"), [(None, {"a", "b", "norm"}), (2, {"a", "b", "norm"}), (1, {"b", "norm"})])
def test_only_the_last_layers_move(layers: int | None, moved: set[str]) -> None:
    model = tuned(layers=layers)
    fresh = ready(Small(), SPEC, part(4, 0))
    now, before = model.embedder.module.state_dict(), fresh.module.state_dict()
    assert {name.split(".")[0] for name in now if not torch.equal(now[name], before[name])} == moved
    trained = {"a": 54, "b": 42, "norm": 12}
    assert model.count_parameters() == 108 + 14
    assert model.count_trained_parameters() == 14 + sum(trained[name] for name in moved)


def test_the_embedder_learns_at_its_own_rate() -> None:
    start = ready(Small(), SPEC, part(4, 0)).module["b"].weight

    def reach(rate: float) -> float:
        return float((tuned(rate=rate).embedder.module["b"].weight - start).detach().abs().max())

    assert 0 < reach(1e-3) < 0.05 * reach(1.0)


@pytest.mark.parametrize("head", [head for head in TUNED_HEADS if head != "resnet1d-wide"])  # slim is the same
def test_every_head_that_is_a_network(head: str) -> None:
    model = tuned(head)
    assert accuracy(model) > 0.8
    assert model.count_parameters() == 108 + sum(p.numel() for p in model._top.parameters())


def test_a_seed_decides() -> None:
    batch = part(20, 5).batch
    one, two, three = (tuned(seed=seed).predict(batch) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
    assert FineTuned(Small(), "linear").info.stochastic


def test_features_of_a_torch_embedder_do_not_depend_on_the_batch() -> None:
    model = ready(Small(), SPEC, part(4, 0))
    tokens = same_whatever_the_batch(model.embed, part(37, 4).batch)
    assert (tokens.shape, tokens.dtype) == ((37, 6, 6), np.float32)
    assert model.count_parameters() == 108
    assert model.count_trained_parameters() == 0


def test_who_cannot_be_tuned() -> None:
    class Plain(Embedder):
        info = ModelInfo("test/plain", revision="1")

        def embed(self, batch: Any) -> Any:
            return np.zeros((len(batch), 1, 1), np.float32)

    class Trains(Small):
        info = ModelInfo("test/trains", revision="1", trains=True)

    assert "no TorchEmbedder" in str(FineTuned(Plain(), "linear").supports(SPEC))
    assert "trains itself" in str(FineTuned(Trains(), "linear").supports(SPEC))
    assert "reconstruct" in str(FineTuned(Small(), "linear").supports(make_spec("x", "reconstruct")))
    with pytest.raises(UsageError, match="cannot be fine-tuned"):
        FineTuned(Small(), "knn")
    with pytest.raises(UsageError, match="from 1 on"):
        FineTuned(Small(), "linear", 0)
    with pytest.raises(ModelError, match="fewer layers") as caught:
        tuned(layers=3)
    assert "it has 2, 3 were asked for" in str(caught.value)


def test_pytorch_s_own_attention_can_be_drawn_anew() -> None:
    def drawn(network: nn.Module) -> dict[str, torch.Tensor]:
        return seeded(lambda: redraw(network, "t"), 5, "t").state_dict()

    one, other = (nn.TransformerEncoderLayer(16, 2, 32) for _ in range(2))
    before = {name: tensor.clone() for name, tensor in one.state_dict().items()}
    found, again = drawn(one), drawn(other)
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert not torch.equal(found["self_attn.in_proj_weight"], before["self_attn.in_proj_weight"])
