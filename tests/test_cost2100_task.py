"""CsiNet's setting on truncated images: instances, targets, and golden channels through CsiNet's own file format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.helpers_cost2100 import GOLDEN, play
from tests.test_cost2100_session import RECIPE
from wbench.dataset.export.layouts import complex_to_csinet
from wbench.dataset.ingest import ingest
from wbench.dataset.reader import open_dataset
from wbench.errors import SpecError
from wbench.metric.feedback import NmseFull
from wbench.run.generate import generate
from wbench.task.base import family_class
from wbench.task.spec import TaskSpec, load_spec

ROWS = 8


def task_of(folder: Path, monkeypatch, *, delay_rows: int, **changes):
    """A task on recorded components in place of COST 2100: ten environments of two users."""
    play(monkeypatch)
    recipe = folder / f"mini-{delay_rows}.toml"
    text = RECIPE.format(block=4).replace("samples = 8", "samples = 20")
    recipe.write_text(text.replace("delay_rows = 8", f"delay_rows = {delay_rows}"))
    monkeypatch.setattr("wbench_generators.cost2100.installed.require_copy", lambda wanted: Path("nowhere"))
    monkeypatch.setattr("wbench_generators.cost2100.installed.octave", lambda: "octave-cli")
    dataset = generate(recipe, size="tiny", out=folder / f"{delay_rows}.zarr").open()
    table = load_spec("csinet-compat-in-4").model_dump()
    table |= {"views": {part: {"recipe": "mini", "side": part} for part in ("train", "val", "test")}}
    table |= {"params": {"first_row": 0, "rows": ROWS}, **changes}
    spec = TaskSpec.model_validate(table)
    return family_class(spec)(spec, {"mini": dataset}), dataset


@pytest.mark.parametrize("environment", ["in", "out"])
@pytest.mark.parametrize("ratio", [4, 16, 32, 64])
def test_instances_are_csinets(environment: str, ratio: int) -> None:
    spec = load_spec(f"csinet-compat-{environment}-{ratio}")
    assert spec.recipes == (f"csinet-{environment}",)
    assert spec.limit is not None
    assert spec.limit.reals == 2048 // ratio
    assert (spec.primary, spec.split.rule, spec.split.unit) == ("nmse_mor_db", "S2", "site")
    assert {"rho", "nmse_ros_db", "nmse_full_db"} <= set(spec.metrics)
    family_class(spec)


def test_observation_is_the_stored_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, dataset = task_of(tmp_path, monkeypatch, delay_rows=ROWS)
    assert task.meta.shape == (ROWS, 4)
    assert task.meta.subcarrier_spacing_hz == 20e6 / 64
    ids = task.ids("train")
    sites = {part: set(dataset.read("site", task.ids(part))) for part in ("train", "val", "test")}
    assert not sites["train"] & sites["test"]
    ((batch, truth),) = task.pairs("train", ids)
    stored = dataset.read("csi_delay_angle", ids)
    rms = np.sqrt(np.mean(np.abs(stored) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(np.abs(batch.x["H"]), np.abs(stored) / rms[:, None, None], rtol=1e-5)
    phase = batch.x["H"][:, :1, :1] / stored[:, :1, :1] * rms[:, None, None]
    np.testing.assert_allclose(batch.x["H"], stored * phase / rms[:, None, None], rtol=1e-4, atol=1e-5)
    assert np.array_equal(truth["H"], batch.x["H"])


def test_energy_outside_is_that_of_the_whole_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same users as image and as CFR: the family makes the same targets of both."""
    image, _ = task_of(tmp_path, monkeypatch, delay_rows=ROWS)
    cfr, _ = task_of(tmp_path, monkeypatch, delay_rows=0, channel="channel")
    ids = np.arange(6)
    ((_, of_image),), ((_, of_cfr),) = image.pairs("train", ids), cfr.pairs("train", ids)
    np.testing.assert_allclose(np.abs(of_image["H"]), np.abs(of_cfr["H"]), atol=1e-5)
    np.testing.assert_allclose(of_image["outside"], of_cfr["outside"], rtol=1e-4, atol=1e-4)
    assert of_cfr["outside"].min() > 0.1
    zero = NmseFull().per_sample(np.zeros_like(of_image["H"]), of_image, {})
    np.testing.assert_allclose(zero[:, 0], zero[:, 1])


@pytest.mark.parametrize("params", [{"first_row": -4, "rows": ROWS}, {"first_row": 0, "rows": 4}])
def test_other_rows_than_the_stored_ones_are_refused(tmp_path: Path, monkeypatch, params) -> None:
    with pytest.raises(SpecError, match="other delay rows"):
        task_of(tmp_path, monkeypatch, delay_rows=ROWS, params=params)


def test_golden_channels_come_through_csinets_own_file(tmp_path: Path) -> None:
    with np.load(GOLDEN) as golden:
        images = golden["images"]
    scale = 2.2 * max(np.abs(images.real).max(), np.abs(images.imag).max())
    savemat(tmp_path / "DATA_Htestin.mat", {"HT": complex_to_csinet(images / scale)})
    ingest("csinet", tmp_path / "DATA_Htestin.mat", tmp_path / "golden.zarr")
    found = open_dataset(tmp_path / "golden.zarr").read("csi_delay_angle", np.arange(len(images)))
    np.testing.assert_allclose(found * scale, images, atol=1e-6 * scale)
