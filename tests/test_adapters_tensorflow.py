"""The TensorFlow adapter against NumPy and the framework itself; needs the extra ``[tensorflow]``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbench
from tests.helpers_models import complex_normal, make_batch, make_meta, make_spec, same_whatever_the_batch
from tests.helpers_networks import affine
from wbench.adapters import TensorFlowEmbedder, TensorFlowPredictor, real_imag
from wbench.errors import MissingError, ModelError, UsageError

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="the extra [tensorflow] is not installed (1.5 GB)"
    ),
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's own
    pytest.mark.slow,
]
SHAPE = (1, 1, 4, 6)
SPEC, META = make_spec("los-nlos", "classify"), make_meta(SHAPE, classes=3)


def dense(last: bool = False) -> Any:
    import keras

    weight, bias = affine(48, 3)
    shape = (*SHAPE, 2) if last else (2, *SHAPE)
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3, activation="relu")]
    model = keras.Sequential(layers)
    model.layers[-1].set_weights([weight, bias])
    return model


def ready(model: Any, spec: Any = SPEC, meta: Any = META) -> Any:
    model.info = wbench.ModelInfo("t/keras")
    assert model.supports(spec) is None
    assert model.accepts(meta) is None
    model.setup(spec, meta)
    return model


def expected(batch: wbench.Batch) -> Any:
    weight, bias = affine(48, 3)
    return np.maximum(real_imag(batch.x["H"]).reshape(len(batch), -1) @ weight + bias, 0)


@pytest.mark.parametrize("kind", ["keras", "saved model"])
def test_both_formats_give_what_the_weights_say(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("m.keras" if kind == "keras" else "folder")
    dense().save(path) if kind == "keras" else dense().export(str(path), verbose=False)
    batch = make_batch(complex_normal(np.random.default_rng(0), 40, *SHAPE), META)
    predictor, embedder = ready(TensorFlowPredictor(path)), ready(TensorFlowEmbedder(path))
    answer = same_whatever_the_batch(predictor.predict, batch)
    np.testing.assert_allclose(answer, expected(batch), rtol=1e-5, atol=1e-6)
    assert predictor.count_parameters() == 48 * 3 + 3
    tokens = same_whatever_the_batch(embedder.embed, batch)
    assert tokens.shape == (40, 1, 3)
    np.testing.assert_array_equal(tokens[:, 0], answer)
    assert predictor.files == (path,)


def test_channels_last_and_channels_back(tmp_path: Path) -> None:
    import keras

    twice = keras.Sequential([keras.Input((*SHAPE, 2)), keras.layers.Rescaling(2.0)])
    twice.save(tmp_path / "m.keras")
    spec, meta = make_spec("channel-estimation", "reconstruct"), make_meta(SHAPE)
    batch = make_batch(complex_normal(np.random.default_rng(0), 20, *SHAPE), meta)
    model = ready(TensorFlowPredictor(tmp_path / "m.keras", channels_last=True), spec, meta)
    np.testing.assert_allclose(model.predict(batch), 2 * batch.x["H"], rtol=1e-6)


def test_files_that_are_refused(tmp_path: Path) -> None:
    import keras

    with pytest.raises(MissingError, match="not there"):
        TensorFlowPredictor(tmp_path / "no.keras")
    (tmp_path / "m.h5").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"h5 file may run code"):
        TensorFlowPredictor(tmp_path / "m.h5")
    (tmp_path / "bad.keras").write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be used"):
        ready(TensorFlowPredictor(tmp_path / "bad.keras"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="cannot be used"):
        ready(TensorFlowPredictor(tmp_path / "empty"))
    code = keras.Sequential([keras.Input((2, *SHAPE)), keras.layers.Lambda(lambda x: x)])
    code.save(tmp_path / "code.keras")
    with pytest.raises(ModelError, match=r"(?i)lambda|unsafe|arbitrary"):
        ready(TensorFlowPredictor(tmp_path / "code.keras"))
