"""Adapters against the frameworks themselves: PyTorch, ONNX Runtime, scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import wbench
from tests.helpers_files import run_one, write_model
from tests.helpers_lab import Lab
from tests.helpers_models import FakePart, complex_normal, make_batch, make_meta, make_spec, same_whatever_the_batch
from tests.helpers_networks import torch_affine, write_onnx
from wbench.adapters import (
    ModuleCodec,
    ModuleEmbedder,
    ModulePredictor,
    OnnxEmbedder,
    OnnxPredictor,
    SklearnPredictor,
    complex_of,
    crop_pad,
    real_imag,
)
from wbench.errors import MissingDependencyError, MissingError, ModelError, UsageError
from wbench.model import load_model
from wbench.task.spec import Limit
from wbench.training import TrainingSettings
from wbench.weights import save_weights

SHAPE = (1, 1, 4, 6)
LOS = make_spec("los-nlos", "classify")
META = make_meta(SHAPE, classes=3)


def batch_of(count: int = 40, shape: tuple[int, ...] = SHAPE, seed: int = 0, meta: Any = None) -> wbench.Batch:
    return make_batch(complex_normal(np.random.default_rng(seed), count, *shape), meta or META)


class Affine(ModuleEmbedder):
    info = wbench.ModelInfo("t/affine")

    def build(self) -> nn.Module:
        return torch_affine(self.sample_shape, 5)


class Classifier(ModulePredictor):
    info = wbench.ModelInfo("t/classifier", trains=True)
    settings = TrainingSettings(30, 64, lr=0.02, patience=5)
    steps = 300

    def build(self) -> nn.Module:
        size = 2 * int(np.prod(self.sample_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(size, self.meta.classes or self.meta.outputs or size))


# --- shapes ------------------------------------------------------------------------------------------------------


def test_real_and_imaginary_part_and_back() -> None:
    h = complex_normal(np.random.default_rng(1), 3, 2, 4).astype(np.complex64)
    parts = real_imag(h)
    assert (parts.dtype, parts.shape) == (np.float32, (3, 2, 2, 4))
    np.testing.assert_array_equal(parts[:, 1, 1], h.imag[:, 1])
    np.testing.assert_array_equal(complex_of(parts), h)


def test_crop_and_pad_at_the_end() -> None:
    x = np.arange(12).reshape(1, 3, 4)
    np.testing.assert_array_equal(crop_pad(x, (2, 6))[0], [[0, 1, 2, 3, 0, 0], [4, 5, 6, 7, 0, 0]])
    assert crop_pad(x, (3, 4)) is x


@pytest.mark.parametrize(
    ("declared", "shape", "reason"),
    [
        ({}, SHAPE, None),
        ({"shape": (1, 1, 64, 6)}, (1, 1, 32, 6), "made for samples of 1 × 1 × 64 × 6; the task's are 1 × 1 × 32 × 6"),
        ({"shape": (1, 1, 64, None)}, (1, 1, 64, 9), None),
        ({"shape": (1, 1, 64, 6), "other_shapes": "crop-pad"}, (1, 1, 32, 6), None),
        ({"shape": (64, 6), "other_shapes": "crop-pad"}, (1, 1, 64, 6), "made for samples of 64 × 6"),
    ],
)
def test_shape_policy(declared: Any, shape: tuple[int, ...], reason: str | None) -> None:
    found = Affine(**declared).accepts(make_meta(shape))
    assert (found is None) if reason is None else (found is not None and found.startswith(reason))


def test_tasks_without_a_channel_need_inputs_of_one_s_own() -> None:
    class Rsrp(Affine):
        def inputs(self, batch: wbench.Batch) -> Any:
            return {"x": batch.x["rsrp"]}

    meta = make_meta((1, 8), dims=("beam",), classes=4)
    assert Affine().accepts(meta) == "needs channels; the task shows the RSRP of beams only"
    assert Rsrp().accepts(meta) is None


def test_kinds_and_families() -> None:
    bits = make_spec("csi-feedback-bits", "compress", limit=Limit(bits=64))
    assert Affine().supports(LOS) is None
    assert Affine().supports(bits) == "serves classify and regress tasks, not compress"
    assert Affine(families=("beam-subarray",)).supports(LOS) == "serves beam-subarray, not los-nlos"
    assert Classifier(kinds=("regress",)).supports(LOS) == "serves regress tasks, not classify"
    with pytest.raises(UsageError, match="refuse"):
        Affine(other_shapes="resample")  # type: ignore[arg-type]


def test_a_model_for_64_antennas_on_8_is_a_reported_skip(lab: Lab, tmp_path: Path) -> None:
    body = """
        class Mine(wbench.Predictor):
            def accepts(self, meta):
                return None if meta.tx.ports == 64 else f"made for 64 antennas, the task has {meta.tx.ports}"

            def predict(self, batch):
                return np.zeros((len(batch), 2))
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert (cell.status, cell.reason) == ("not applicable", "made for 64 antennas, the task has 8")


# --- PyTorch -----------------------------------------------------------------------------------------------------


def test_module_embedder_is_the_module(tmp_path: Path) -> None:
    model, batch = Affine(), batch_of()
    model.setup(LOS, META)
    tokens = same_whatever_the_batch(model.embed, batch)
    with torch.inference_mode():
        direct = torch_affine(SHAPE, 5)(torch.from_numpy(real_imag(batch.x["H"]))).numpy()
    np.testing.assert_allclose(tokens[:, 0], direct, rtol=1e-5, atol=1e-6)
    assert model.count_parameters() == 2 * 24 * 5 + 5


def test_weights_of_a_file_are_used_and_digested(tmp_path: Path) -> None:
    state = {name: 2 * value for name, value in torch_affine(SHAPE, 5).state_dict().items()}
    save_weights(tmp_path / "a.safetensors", state)
    torch.save(state, tmp_path / "b.pt")
    answers = []
    for name in ("a.safetensors", "b.pt"):
        model = Affine(tmp_path / name)
        model.setup(LOS, META)
        answers.append(model.embed(batch_of()))
    plain = Affine()
    plain.setup(LOS, META)
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_allclose(answers[0], 2 * plain.embed(batch_of()), rtol=1e-5)
    assert model.files == (tmp_path / "b.pt",)
    with pytest.raises(MissingError, match="not there"):
        Affine(tmp_path / "no.pt")
    wrong = Affine(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"shape.*1\.weight"):
        wrong.setup(LOS, make_meta((1, 1, 4, 7)))


def test_the_class_s_weights_lie_beside_its_file_and_move_the_revision(tmp_path: Path) -> None:
    reference = write_model(
        tmp_path,
        """
        class Mine(ModuleEmbedder):
            weights = "mine.safetensors"

            def build(self):
                return nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
        """,
        head="from torch import nn\nfrom wbench.adapters import ModuleEmbedder\n",
    )
    with pytest.raises(MissingError, match=r"mine\.safetensors"):
        load_model(reference)
    revisions = set()
    for scale in (1.0, 2.0, 1.0):
        network = nn.Linear(48, 4)
        nn.init.constant_(network.weight, scale)
        nn.init.zeros_(network.bias)
        save_weights(tmp_path / "mine.safetensors", {f"1.{k}": v for k, v in network.state_dict().items()})
        revisions.add(load_model(reference).info.revision)
    assert len(revisions) == 2


@pytest.mark.parametrize("kind", ["classify", "regress", "reconstruct"])
def test_module_predictor_learns(kind: Any) -> None:
    meta = make_meta(SHAPE, classes=2 if kind == "classify" else None)
    if kind == "regress":
        meta = wbench.ChannelMeta(**{f: getattr(meta, f) for f in meta.__slots__} | {"outputs": 1})
    batch = batch_of(300, meta=meta)
    h = batch.x["H"]
    truth: Any = {
        "classify": {"label": (h.real[:, 0, 0, 0, 0] > 0).astype(np.int64)},
        "regress": {"target": (5.0 + 100.0 * h.real[:, 0, 0, 0, :1]).astype(np.float32)},
        "reconstruct": {"H": (1j * h).astype(np.complex64)},
    }[kind]
    part = FakePart(batch, truth)
    model = Classifier()
    model.setup(make_spec("x", kind), meta)
    model.fit(part, part, 0)
    answer = same_whatever_the_batch(model.predict, batch, rtol=1e-5, atol=1e-5)
    if kind == "classify":
        assert (answer.argmax(axis=1) == truth["label"]).mean() > 0.9
    elif kind == "regress":
        assert np.abs(answer - truth["target"]).mean() < 0.2 * truth["target"].std()
    else:
        assert answer.shape == h.shape
        assert np.abs(answer - truth["H"]).mean() < 0.2 * np.abs(h).mean()
    again = Classifier()
    again.setup(make_spec("x", kind), meta)
    again.fit(part, part, 0)
    np.testing.assert_array_equal(again.predict(batch), answer)


def test_fit_of_an_adapter_is_called_only_if_declared(tmp_path: Path) -> None:
    body = """
        class Mine(ModulePredictor):
            info = wbench.ModelInfo("t/m", trains={trains})

            def build(self):
                return None
    """
    head = "import wbench\nfrom wbench.adapters import ModulePredictor\n"
    for trains in (True, False):
        model = load_model(write_model(tmp_path, body.format(trains=trains), head=head))
        assert model.info.trains is trains
    model.info = wbench.ModelInfo("t/m")  # type: ignore[misc]
    with pytest.raises(ModelError, match="must return a torch"):
        model.setup(LOS, META)


def test_the_codec_is_pca_when_it_is_given_the_eigenvectors() -> None:
    spec = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=8))
    batch = batch_of(200)
    flat = real_imag(batch.x["H"]).reshape(200, -1)
    basis = np.linalg.svd(flat)[2][:8].astype(np.float32)

    model = _Pca()
    model.setup(spec, META)
    with torch.no_grad():
        model.module["encoder"][1].weight.copy_(torch.from_numpy(basis))
        model.module["decoder"].weight.copy_(torch.from_numpy(basis.T.copy()))
    payloads = model.encoder()(batch)
    assert {p.bits for p in payloads} == {8 * 32}
    found = real_imag(model.decoder()(payloads[::-1])[::-1]).reshape(200, -1)
    np.testing.assert_allclose(found, flat @ basis.T @ basis, atol=1e-5)
    assert model.count_parameters() == 2 * 8 * 48


class _Pca(ModuleCodec):
    info = wbench.ModelInfo("t/pca")

    def build_encoder(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(48, self.numbers, bias=False))

    def build_decoder(self) -> nn.Module:
        return nn.Linear(self.numbers, 48, bias=False)


# --- ONNX --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["n", 1, 7])
def test_onnx_runtime_gives_what_pytorch_gives(tmp_path: Path, size: Any) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    path = tmp_path / "m.onnx"
    count = write_onnx(path, SHAPE, 3, size)
    batch = batch_of()
    with torch.inference_mode():
        expected = torch_affine(SHAPE, 3)(torch.from_numpy(real_imag(batch.x["H"]))).numpy()
    predictor, embedder = OnnxPredictor(path), OnnxEmbedder(path, output="affine")
    for model in (predictor, embedder):
        model.info = wbench.ModelInfo("t/onnx")  # type: ignore[misc]
        model.setup(LOS, META)
        assert model.count_parameters() == count
    np.testing.assert_allclose(same_whatever_the_batch(predictor.predict, batch), expected, rtol=1e-5, atol=1e-6)
    tokens = same_whatever_the_batch(embedder.embed, batch)
    np.testing.assert_allclose(np.maximum(tokens[:, 0], 0), expected, rtol=1e-5, atol=1e-6)
    assert (tokens < 0).any()


def test_weights_beside_an_onnx_file_belong_to_it(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    path = tmp_path / "m.onnx"
    count = write_onnx(path, SHAPE, 3)
    single = OnnxPredictor(path)
    whole = onnx.load(path)
    where = {"location": "m.onnx.data", "all_tensors_to_one_file": True, "size_threshold": 0}
    (tmp_path / "apart").mkdir()
    onnx.save(whole, tmp_path / "apart/m.onnx", save_as_external_data=True, **where)
    apart = OnnxPredictor(tmp_path / "apart/m.onnx")
    assert [one.name for one in apart.files] == ["m.onnx", "m.onnx.data"]
    answers = []
    for model in (single, apart):
        model.info = wbench.ModelInfo("t/onnx")  # type: ignore[misc]
        model.setup(LOS, META)
        assert model.count_parameters() == count
        answers.append(model.predict(batch_of()))
    np.testing.assert_array_equal(*answers)


def test_onnx_files_that_cannot_be_used(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    with pytest.raises(UsageError, match=r"needs an \.onnx file"):
        OnnxPredictor()
    (tmp_path / "bad.onnx").write_bytes(b"no such thing")
    with pytest.raises(ModelError, match="cannot be used"):
        OnnxPredictor(tmp_path / "bad.onnx").setup(LOS, META)
    write_onnx(tmp_path / "m.onnx", SHAPE, 3)
    with pytest.raises(ModelError, match="no output 'z'"):
        OnnxPredictor(tmp_path / "m.onnx", output="z").setup(LOS, META)


def test_a_missing_framework_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from wbench.adapters import TensorFlowPredictor

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for adapter, extra in ((OnnxPredictor, "onnx"), (TensorFlowPredictor, "tensorflow")):
        with pytest.raises(MissingDependencyError, match=rf"pip install 'wbench\[{extra}\]'"):
            adapter("model")
    body = "import no_such\nclass Mine(wbench.Predictor):\n    predict = print"
    reference = write_model(tmp_path, body.replace("no_such", "tensorflow.no_such"))
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(MissingDependencyError, match=r"wbench\[tensorflow\]"):
        load_model(reference)


# --- scikit-learn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RidgeClassifier(), make_pipeline(StandardScaler(), Ridge())]
)
def test_sklearn_is_sklearn(estimator: Any) -> None:
    class Mine(SklearnPredictor):
        info = wbench.ModelInfo("t/sk", trains=True)

        def estimator(self) -> Any:
            return estimator

    regress = not hasattr(estimator, "classes_") and not hasattr(estimator, "C") and hasattr(estimator, "steps")
    batch = batch_of(120)
    x = np.abs(batch.x["H"]).reshape(120, -1)
    y = np.digitize(x[:, 0], [0.5, 1.0]) * 2  # classes 0, 2, 4 of 5: two were never seen
    meta = make_meta(SHAPE, classes=None if regress else 5)
    truth = {"target": x[:, :2]} if regress else {"label": y}
    model = Mine()
    model.setup(make_spec("x", "regress" if regress else "classify"), meta)
    model.fit(FakePart(batch, truth), FakePart(batch, truth), 7)
    answer = same_whatever_the_batch(model.predict, batch, rtol=1e-6)
    if regress:
        np.testing.assert_allclose(answer, estimator.fit(x, x[:, :2]).predict(x))
        assert model.count_parameters() == 2 * 24 + 2
        return
    own = estimator.fit(x, y)
    np.testing.assert_array_equal(answer.argmax(axis=1), own.predict(x))
    assert answer.shape == (120, 5)
    assert (answer[:, [1, 3]] < answer[:, ::2].min(axis=1, keepdims=True)).all()
    assert model.count_parameters() == 3 * 24 + 3


def test_the_seed_reaches_every_random_state() -> None:
    from sklearn.ensemble import RandomForestClassifier

    class Mine(SklearnPredictor):
        info = wbench.ModelInfo("t/rf", trains=True)

        def estimator(self) -> Any:
            return make_pipeline(StandardScaler(), RandomForestClassifier(4, max_depth=2))

    part = FakePart(batch_of(60), {"label": np.arange(60) % 3})
    answers = []
    for seed in (1, 1, 2):
        model = Mine()
        model.setup(LOS, META)
        model.fit(part, part, seed)
        answers.append(model.predict(part.batch))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])
