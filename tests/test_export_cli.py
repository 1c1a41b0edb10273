"""``wbench export``, ``wbench ingest`` and ``wbench card`` as a user types them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

from tests.helpers_export import SAMPLES, handmade
from wbench.cli.main import main
from wbench.run.plan import dataset_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return handmade(tmp_path_factory.mktemp("cli") / "a.zarr")


@pytest.fixture
def wbench(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        out = capsys.readouterr()
        return left.value.code, out.out, out.err

    return run


def test_export_says_what_it_wrote(made, tmp_path, monkeypatch, wbench):
    monkeypatch.chdir(tmp_path)
    code, out, _ = wbench("export", made[0].path, "--layout", "contrawimae")
    assert code == 0
    assert "handmade-tiny-contrawimae.npz: 23 samples, npz" in out
    assert "channels" in out
    assert "23 × 1 × 32 × 32" in out
    assert np.load(tmp_path / "handmade-tiny-contrawimae.npz")["channels"].shape == (SAMPLES, 1, 32, 32)


def test_export_of_a_range(made, tmp_path, wbench):
    out = tmp_path / "a.mat"
    code, *_ = wbench("export", made[0].path, "--format", "mat", "--samples", "4:7", "--out", out)
    assert code == 0
    assert scipy.io.loadmat(out)["sample"].ravel().tolist() == [4, 5, 6]


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_export_of_a_part_of_a_task(lab, tmp_path, wbench, part):
    path = dataset_path("lab-mob", "tiny", data=lab.data)
    out = tmp_path / "X_val.mat"
    arguments = ["--layout", "wifo", "--task", lab.toml("time"), "--part", part, "--out", out]
    assert wbench("export", path, *arguments)[0] == 0
    found = scipy.io.loadmat(out)
    np.testing.assert_array_equal(found["sample"].ravel(), lab.task("time").ids(part))
    assert found["X_val"].shape[1:] == (6, 4, 8)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--layout", "wifi"], "did you mean wifo"),
        (["--format", "matlab"], "did you mean mat"),
        (["--samples", "5"], "no range of samples"),
        (["--samples", "7:3"], "no range of samples"),
        (["--samples", "a:b"], "no range of samples"),
        (["--samples", "0:99"], "samples 0 to 22"),
        (["--part", "train"], "--task and --part together"),
        (["--task", "los-nlos-umi", "--part", "tran"], "did you mean train"),
        (["--task", "los-nlos-umi", "--part", "train"], "lies in another dataset"),
        (["--task", "los-nlos-umii", "--part", "train"], "did you mean los-nlos-umi"),
    ],
)
def test_a_wrong_request_is_one_clear_error(made, tmp_path, monkeypatch, wbench, arguments, text):
    monkeypatch.chdir(tmp_path)
    code, _, err = wbench("export", made[0].path, *arguments)
    assert code == 2
    assert text in err
    assert "Traceback" not in err
    assert not any(tmp_path.iterdir())


def test_no_dataset(tmp_path, wbench):
    code, _, err = wbench("export", tmp_path / "nowhere.zarr")
    assert code == 3
    assert "There is no dataset here" in err


def test_ingest_then_inspect_then_verify_then_card(tmp_path, wbench):
    source, out = tmp_path / "DATA_Htestin.mat", tmp_path / "in.zarr"
    scipy.io.savemat(source, {"HT": np.random.default_rng(1).uniform(0.4, 0.6, (9, 2048))})
    code, text, _ = wbench("ingest", "csinet", source, "--out", out, "--licence", "unknown")
    assert code == 0
    assert "9 samples" in text
    assert "carrier_hz" in text.split("unknown ")[1]
    assert wbench("inspect", out)[0] == 0
    assert wbench("verify", out)[0] == 0
    code, text, _ = wbench("card", out)
    assert code == 0
    assert text.startswith("# ingest-csinet-standard")


def test_ingest_of_another_file(tmp_path, wbench):
    scipy.io.savemat(tmp_path / "a.mat", {"HF_all": np.zeros((2, 4000))})
    code, _, err = wbench("ingest", "csinet", tmp_path / "a.mat", "--out", tmp_path / "a.zarr")
    assert code == 2
    assert "it holds HF_all [2, 4000]" in err
    assert not (tmp_path / "a.zarr").exists()


def test_card_to_a_file(made, tmp_path, wbench):
    out = tmp_path / "croissant.json"
    arguments = ["card", made[0].path, "--format", "croissant", "--url", "https://example.org/d", "--out", out]
    assert wbench(*arguments)[0] == 0
    document = json.loads(out.read_text())
    assert document["url"] == "https://example.org/d"
    assert wbench(*arguments)[0] == 0  # the same again
    out.write_text("mine")
    code, _, err = wbench(*arguments)
    assert code == 2
    assert "left untouched" in err
    assert wbench("card", made[0].path, "--url", "https://example.org/d")[0] == 2
