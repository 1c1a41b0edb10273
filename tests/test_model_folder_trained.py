"""What ``wbench train --out`` writes: the model that was trained, whole, and nothing that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_models import FakePart, complex_normal, make_batch, make_meta, make_spec, ready
from wbench.errors import OutputConflictError
from wbench.model import load_model
from wbench.run.train import train
from wbench.run.trained import save_trained
from wbench.task.batch import ArrayMeta, ChannelMeta
from wbench.task.spec import Limit
from wbench_baselines.networks.feedback.precoder import PrecoderTransformer
from wbench_baselines.networks.feedback.transnet import TransNet
from wbench_baselines.pretraining.masked_patches import MaskedPatchEmbedder

SHAPE = (1, 1, 4, 6)
PLACE = make_spec("positioning", "regress")
NET = """
import wbench
from torch import nn
from wbench.adapters import ModulePredictor
from wbench.training import TrainingSettings

class Net(ModulePredictor):
    info = wbench.ModelInfo("me/net", trains=True, stochastic=True)
    settings = TrainingSettings(3, 64, lr=0.02)
    steps = 3

    def __init__(self, weights=None, width=8, **declared):
        super().__init__(weights, **declared)
        self.width = width

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(48, self.width), nn.Linear(self.width, self.meta.outputs))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "net"
    made.mkdir()
    (made / "net.py").write_text(NET, encoding="utf-8")
    (made / "model.toml").write_text('api = 1\nobject = "./net.py:Net"\n[params]\nwidth = 5\n', encoding="utf-8")
    return made


def places(count: int = 60) -> FakePart:
    meta = make_meta(SHAPE)
    meta = ChannelMeta(**{name: getattr(meta, name) for name in meta.__slots__} | {"outputs": 2})
    batch = make_batch(complex_normal(np.random.default_rng(0), count, *SHAPE), meta)
    h = batch.x["H"]
    target = np.stack([500 + 100 * h.real[:, 0, 0, 0, 0], -20 + h.imag[:, 0, 0, 0, 0]], axis=1)
    return FakePart(batch, {"target": target.astype(np.float32)})


def test_a_trained_network_answers_in_the_target_s_units_and_keeps_its_folder_s_parameters(
    folder: Path, tmp_path: Path
) -> None:
    part, out = places(), tmp_path / "trained"
    out.mkdir()
    fitted = ready(load_model(str(folder)), PLACE, part)
    expected = fitted.predict(part.batch)
    assert abs(expected[:, 0].mean() - 500) < 50
    assert save_trained(out, str(folder), fitted, ["lab (train)"], 60)
    loaded = load_model(str(out))
    assert not loaded.info.trains
    np.testing.assert_array_equal(ready(loaded, PLACE, part).predict(part.batch), expected)
    assert loaded.count_parameters() == fitted.count_parameters() == 48 * 5 + 5 + 5 * 2 + 2


@pytest.mark.parametrize("kind", [TransNet, PrecoderTransformer])
def test_weights_that_a_class_passes_on_to_its_base_are_taken(kind: Any, tmp_path: Path) -> None:
    limit = Limit(reals=4) if kind is TransNet else Limit(bits=16)
    params = {} if kind is TransNet else {"target": "precoders"}
    model = kind(**({"hidden": 8} if kind is TransNet else {"width": 8}))
    meta = make_meta((4, 8), ArrayMeta(1, 8), dims=("delay", "angle"))
    model.setup(make_spec("csi-feedback", "compress", params, limit), meta)
    assert save_trained(tmp_path, model.info.name, model)
    again = type(model)(weights=tmp_path / "model.safetensors", **model.params)
    again.setup(model.spec, model.meta)
    assert again.ready


def test_what_was_not_trained_is_not_saved(tmp_path: Path) -> None:
    model = MaskedPatchEmbedder(width=16, depth=1, heads=2)
    model.setup(make_spec("los-nlos", "classify"), make_meta(SHAPE, classes=2))
    assert not save_trained(tmp_path, "wbench_baselines.pretraining.masked_patches:MaskedPatchEmbedder", model)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_replaced_lose_their_description_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, out = places(), tmp_path / "trained"
    out.mkdir()
    fitted = ready(load_model(str(folder)), PLACE, part)
    save_trained(out, str(folder), fitted)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wbench.weights.save_weights", stop)
    with pytest.raises(KeyboardInterrupt):
        save_trained(out, str(folder), ready(load_model(str(folder)), PLACE, part, seed=1))
    assert not (out / "model.toml").exists()


def test_places_that_would_be_lost_are_refused_before_the_training(folder: Path) -> None:
    before = (folder / "model.toml").read_bytes()
    (folder.parent / "file").write_text("mine", encoding="utf-8")
    for out in (folder, folder.parent / "file"):
        with pytest.raises(OutputConflictError, match=r"is a file|is the model"):
            train(str(folder), "los-nlos-umi", out=out)
    assert (folder / "model.toml").read_bytes() == before
