"""Published models as a user meets them: folders with weights, shapes, scaling, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests import published_weights as published
from wbench.errors import ModelError, UsageError
from wbench.model import TorchEmbedder, load_model
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta
from wbench.task.spec import TaskSpec, load_spec
from wbench.weights import save_weights
from wbench_baselines.foundation.lwm import Lwm10, Lwm11
from wbench_baselines.foundation.wifo import Wifo, WifoFeatures, panel, unpanel
from wbench_baselines.foundation.wimae import ContraWimae, Wimae

NAMES = ("lwm-1.0", "lwm-1.1", "wimae", "contrawimae", "wifo", "wifo-features")
Complex = npt.NDArray[np.complex64]


def shapes_of(name: str) -> published.Shapes:
    if name.startswith("lwm"):
        return published.lwm(name.removeprefix("lwm-"))
    return published.wifo("tiny") if name.startswith("wifo") else published.wimae(name == "contrawimae")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of random weights, in the formats that the authors use."""
    folder = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        state = published.filled(shapes_of(name))
        torch.save(published.as_checkpoint(state) if "wimae" in name else state, folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in NAMES}


def meta_of(*shape: int, rows: int = 1, pols: int = 1, dims: tuple[str, ...] = ()) -> ChannelMeta:
    tx = ArrayMeta(rows, shape[2] // (rows * pols), polarisations=pols) if len(shape) == 4 else ArrayMeta(1, 1)
    names = dims or ("time", "rx", "tx", "subcarrier")
    return ChannelMeta(shape, names, 3.5e9, 30e3, 1e-3, tx, ArrayMeta(1, shape[1]))


def batch_of(meta: ChannelMeta, n: int = 5, seed: int = 0, **x: Any) -> Batch:
    rng = np.random.default_rng(seed)
    channel = (rng.normal(size=(n, *meta.shape)) + 1j * rng.normal(size=(n, *meta.shape))) / np.sqrt(2)
    return Batch(np.arange(n), {"H": channel.astype(np.complex64), **x}, None, meta)


def los() -> TaskSpec:
    return load_spec("los-nlos-ula")


# ------------------------------------------------------------------------------------------------- without weights


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_the_error_says_what_to_do(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_model(f"wbench/{name}")
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert f'model = "wbench/{name}"' in text
    assert 'weights = "' in text
    assert "docs/published-models.md" in text


# ---------------------------------------------------------------------------------------------------- model folders


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_with_weights_is_a_model(name: str, files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "w.pth").symlink_to(files[name])
    (tmp_path / "model.toml").write_text(f'api = 1\nmodel = "wbench/{name}"\nweights = "w.pth"\n')
    model = load_model(str(tmp_path))
    assert model.info.kind == "foundation"
    assert model.info.pretraining
    assert model.info.overlap in ("generator", "scenario")
    assert not model.info.trains
    assert "weights" in model.info.licence
    assert model.info.name == f"wbench/{name}".replace("wifo", "wifo-tiny")
    assert model.info.revision != "1"  # the weights count
    spec = load_spec("channel-prediction-time-qd-d3" if name == "wifo" else "los-nlos-ula")
    assert model.supports(spec) is None
    meta = meta_of(16, 1, 8, 64) if name == "wifo" else meta_of(1, 1, 32, 32)
    assert model.accepts(meta) is None
    assert model.count_parameters() == model.info.parameters
    assert model.supports(load_spec("csi-feedback-ratio")) is not None


@pytest.mark.parametrize("name", [name for name in NAMES if name != "wifo"])
def test_features_do_not_hang_on_the_batch(name: str, files: dict[str, Path]) -> None:
    classes = {"lwm-1.0": Lwm10, "lwm-1.1": Lwm11, "wimae": Wimae, "contrawimae": ContraWimae}
    model: TorchEmbedder = classes.get(name, WifoFeatures)(files[name])
    meta = meta_of(2, 1, 32, 32)
    model.setup(los(), meta)
    batch = batch_of(meta)
    whole = model.embed(batch)
    alone = model.embed(batch.rows(np.array([3])))
    np.testing.assert_array_equal(whole[3], alone[0])
    assert whole.shape[0] == 5
    assert np.isfinite(whole).all()
    assert whole.std(axis=0).max() > 1e-3
    pooled = model.pool(whole)
    assert pooled.shape == (5, whole.shape[2])
    assert len(model.layers()) > 6
    # Fine-tuning comes after features were made: gradients reach every layer.
    inputs = {key: torch.from_numpy(values[:2]) for key, values in model.inputs(batch).items()}
    model.forward_tokens(inputs).square().mean().backward()
    for layer in model.layers():
        assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in layer.parameters())


# -------------------------------------------------------------------------------------------------------------- LWM


def test_lwm_10_reads_antenna_by_antenna_real_parts_first(files: dict[str, Path]) -> None:
    model = Lwm10(files["lwm-1.0"], path_loss_db=100)
    meta = meta_of(1, 1, 32, 32)
    batch = batch_of(meta)
    tokens = model.inputs(batch)["tokens"]
    assert tokens.shape == (5, 1, 129, 16)
    assert (tokens[:, :, 0] == np.float32(0.2)).all()
    channel = 1e6 * batch.x["H"] * 1e-5  # 100 dB
    np.testing.assert_allclose(tokens[1, 0, 1 + 2 * 7 + 1], channel[1, 0, 0, 7, 16:].real, rtol=1e-6)
    np.testing.assert_allclose(tokens[1, 0, 65 + 2 * 30], channel[1, 0, 0, 30, :16].imag, rtol=1e-6)


def test_lwm_11_interleaves_parts_and_pads(files: dict[str, Path]) -> None:
    model = Lwm11(files["lwm-1.1"], path_loss_db=120)
    meta = meta_of(1, 1, 6, 10)
    model.setup(los(), meta)
    batch = batch_of(meta)
    tokens = model.inputs(batch)["tokens"]
    assert tokens.shape == (5, 1, 1 + 2 * 3, 32)
    whole = np.zeros((8, 12), dtype=np.complex64)
    whole[:6, :10] = batch.x["H"][2, 0, 0]
    for row in range(2):
        for col in range(3):
            cut = whole[4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
            wanted = [part for value in cut.reshape(-1) for part in (value.real, value.imag)]
            np.testing.assert_allclose(tokens[2, 0, 1 + 3 * row + col], wanted, rtol=1e-6)
    features = model.embed(batch)
    np.testing.assert_array_equal(model.pool(features), features[:, 0])


def test_lwm_pools_the_class_tokens_of_all_maps(files: dict[str, Path]) -> None:
    model = Lwm11(files["lwm-1.1"])
    meta = meta_of(2, 2, 8, 8)
    model.setup(los(), meta)
    features = model.embed(batch_of(meta))
    assert features.shape == (5, 4 * 5, 128)
    np.testing.assert_allclose(model.pool(features), features[:, [0, 5, 10, 15]].mean(axis=1), rtol=1e-6)


# ------------------------------------------------------------------------------------------------------------ WiMAE


@pytest.mark.parametrize("patch", [(16, 1), (1, 16)])
def test_wimae_cuts_real_then_imaginary_patches(files: dict[str, Path], patch: tuple[int, int]) -> None:
    model = Wimae(files["wimae"], patch=patch)
    meta = meta_of(1, 1, 32, 32)
    batch = batch_of(meta)
    patches = model.inputs(batch)["patches"]
    assert patches.shape == (5, 1, 128, 16)
    channel = batch.x["H"][4, 0, 0] * np.sqrt(2)
    wanted = channel[16:, 5] if patch == (16, 1) else channel[18, 16:]
    number = 32 + 5 if patch == (16, 1) else 2 * 18 + 1
    np.testing.assert_allclose(patches[4, 0, number], wanted.real, rtol=1e-6)
    np.testing.assert_allclose(patches[4, 0, 64 + number], wanted.imag, rtol=1e-6)
    assert patches.var() == pytest.approx(1, rel=0.05)  # data that were standardised


# ------------------------------------------------------------------------------------------------------------- WiFo


@pytest.mark.parametrize("pols", [1, 2])
def test_wifo_counts_the_elements_of_a_column_the_other_way_round(pols: int) -> None:
    meta = meta_of(4, 2, 8 * pols, 4, rows=4, pols=pols)
    channel = batch_of(meta).x["H"]
    maps = panel(channel, meta)
    assert maps.shape == (5, 4, 2 * pols, 8, 4)
    for pol in range(pols):
        for col in range(2):
            for row in range(4):
                port = pol * 8 + col * 4 + row
                np.testing.assert_array_equal(maps[:, :, pols + pol, col * 4 + 3 - row], channel[:, :, 1, port])
    np.testing.assert_array_equal(unpanel(maps, meta), channel)


@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_wifo_predicts_what_is_open_and_leaves_the_rest(files: dict[str, Path], axis: str) -> None:
    spec = load_spec(f"channel-prediction-{axis}-qd-d3")
    model = Wifo(files["wifo"])
    meta = meta_of(16, 2, 8, 16, rows=2)
    model.setup(spec, meta)
    observed = np.zeros(meta.shape, dtype=bool)
    observed[:8] = axis == "time"
    observed[..., :8] |= axis == "frequency"
    batch = batch_of(meta, observed=observed)
    batch.x["H"][:, ~observed] = 0
    answer = model.predict(batch)
    assert answer.dtype == np.complex64
    np.testing.assert_array_equal(answer[:, observed], batch.x["H"][:, observed])
    assert np.abs(answer[:, ~observed]).min() > 0
    np.testing.assert_array_equal(model.predict(batch.rows(np.array([2])))[0], answer[2])
    # Receive ports do not see one another, and what is open is not read.
    other = batch.copy()
    other.x["H"][:, :, 1] *= -1
    other.x["H"][:, ~observed] = 7
    np.testing.assert_array_equal(model.predict(other)[:, :, 0], answer[:, :, 0])


def test_wifo_features_hold_a_snapshot_and_pad_maps(files: dict[str, Path]) -> None:
    model = WifoFeatures(files["wifo-features"])
    meta = meta_of(1, 1, 6, 10)
    maps = model.inputs(batch_of(meta))["maps"]
    assert maps.shape == (5, 1, 2, 4, 8, 12)
    np.testing.assert_array_equal(maps[:, :, :, 0], maps[:, :, :, 3])
    assert (maps[..., 6:, :] == 0).all()
    assert (maps[..., 10:] == 0).all()
    assert model.count_parameters() == 209_216


# ----------------------------------------------------------------------------------------------------- what is refused


def test_shapes_that_do_not_fit_are_a_reason(files: dict[str, Path]) -> None:
    reasons = {
        "32 × 32; the task's are 8 × 32": Lwm10(files["lwm-1.0"]).accepts(meta_of(1, 1, 8, 32)),
        "512 patches of 4 × 4; the task's maps of 256 × 64 have 1024": Lwm11(files["lwm-1.1"]).accepts(
            meta_of(1, 1, 256, 64)
        ),
        "learned 128 positions; the task's maps of 64 × 32 give 256": Wimae(files["wimae"]).accepts(
            meta_of(1, 1, 64, 32)
        ),
        "patches of 16 × 1; the task's maps are 8 × 32": Wimae(files["wimae"]).accepts(meta_of(1, 1, 8, 32)),
        "patches of 4 × 4 × 4; the task's maps are 20 × 2 × 32": Wifo(files["wifo"]).accepts(meta_of(20, 1, 2, 32)),
        "dimensions are delay, angle": WifoFeatures(files["wifo-features"]).accepts(
            meta_of(32, 32, dims=("delay", "angle"))
        ),
    }
    for part, reason in reasons.items():
        assert reason is not None
        assert part in reason
    spec = load_spec("channel-prediction-time-qd-d3")
    odd = spec.model_copy(update={"params": {"past": 6, "future": 2}})
    assert Wifo(files["wifo"]).supports(odd) == "cuts patches of 4 snapshots; the task shows 6"


@pytest.mark.parametrize(
    ("build", "given", "message"),
    [
        (Lwm10, "lwm-1.1", r"missing \(72\).*layers\.0\.enc_self_attn\.norm\.alpha"),
        (Lwm11, "lwm-1.0", r"shape \(.*embedding\.proj\.weight is float32\[64, 16\], the model has float32\[128, 32\]"),
        (Wifo, "lwm-1.0", "no weights of WiFo"),
        (Wimae, "wifo", "no weights of a WiMAE encoder"),
        (ContraWimae, "wimae", r"contrastive_head"),
    ],
)
def test_the_wrong_file_is_told(files: dict[str, Path], build: Any, given: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(files[given])


def test_parameters_out_of_range_are_refused(files: dict[str, Path]) -> None:
    for build, given, wrong in (
        (Lwm11, "lwm-1.1", {"path_loss_db": -3}),
        (Wimae, "wimae", {"patch": [4, 1]}),
        (Wimae, "wimae", {"rms": 0}),
    ):
        with pytest.raises(UsageError):
            build(files[given], **wrong)  # type: ignore[operator]


def test_weights_of_one_model_are_read_whatever_the_format(files: dict[str, Path], tmp_path: Path) -> None:
    state = published.filled(shapes_of("lwm-1.1"))
    save_weights(tmp_path / "w.safetensors", {name.removeprefix("module."): t for name, t in state.items()})
    meta = meta_of(1, 1, 8, 8)
    batch = batch_of(meta)
    both = [Lwm11(files["lwm-1.1"]), Lwm11(tmp_path / "w.safetensors")]
    for model in both:
        model.setup(los(), meta)
    np.testing.assert_array_equal(both[0].embed(batch), both[1].embed(batch))
