"""Fingerprints: identical, equivalent or different, against differences that are known because they were made."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers_data import ROOT, cli, environment, install_provider, providers, write_recipe
from wbench import generate, open_dataset, registry
from wbench.dataset import fingerprint as fp
from wbench.dataset import fingerprint_files as files
from wbench.dataset.compare import compare_datasets
from wbench.dataset.manifest import write_entry
from wbench.dataset.reader import Dataset
from wbench.dataset.verdict import FLIPS, TOLERANCE_DB, Verdict, relative_error
from wbench.errors import DatasetError
from wbench.run.fingerprint import fingerprint_recipe, fingerprint_spec, shipped_verdict
from wbench.run.plan import build_spec, load_generator

__all__ = ["providers"]  # a fixture

#: Of the recipe below: 16 in each of 8 blocks, the last of which has 10.
SAMPLES = 122
PINNED_SIGNS = [1, 1, -1, -1, -1, 1, 1, 1, -1, -1, 1, 1]
STANDARD = ("snap-umi", "snap-umi-ula", "snap-uma", "fb-umi", "pmi-uma", "mob-uma", "ce-umi", "ce-uma", "plane-wave")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("fingerprint"), "prints", samples=314, block=16, subcarriers=16)


@pytest.fixture(scope="module")
def original(recipe) -> Dataset:
    return generate(recipe, size="tiny", out=recipe.parent / "prints.zarr").open()


def edited(original: Dataset, folder, **changes) -> Dataset:
    """A copy with other numbers, as another machine would have written it: manifest entries included."""
    import zarr

    path = folder / "edited.zarr"
    shutil.copytree(original.path, path)
    group = zarr.open_group(path, mode="r+")
    arrays = {name: np.asarray(original.array(name)[:]) for name in original.array_names}
    for name, change in changes.items():
        arrays[name] = change(arrays[name].copy())
        group[name][:] = arrays[name]
    for shard in range(original.spec.shards):
        ids = original.spec.shard_range(shard)
        write_entry(path, original.spec, shard, {name: values[ids.start : ids.stop] for name, values in arrays.items()})
    return open_dataset(path)


def noisy(level_db, seed=0):
    """Adds noise of a known level relative to every sample."""

    def change(h):
        noise = np.random.default_rng(seed).standard_normal((*h.shape, 2)).view(np.complex128)[..., 0]
        size, own = (np.linalg.norm(x.reshape(len(h), -1), axis=1) for x in (h, noise))
        noise *= (size / own).reshape(-1, *[1] * (h.ndim - 1))
        return (h + 10 ** (level_db / 20) * noise).astype(h.dtype)

    return change


def test_from_the_spec_alone_equals_from_the_whole_dataset(recipe, original):
    whole = fp.fingerprint_dataset(original)
    alone, counted = (fingerprint_recipe(recipe, "tiny", whole=whole) for whole in (False, True))
    assert (alone.content, counted.content, whole.content) == (None, original.content_digest, original.content_digest)
    for other in (alone, counted):
        assert other.samples == whole.samples
        assert other.arrays.keys() == whole.arrays.keys()
        for name, item in whole.arrays.items():
            np.testing.assert_array_equal(item.data, other.arrays[name].data)
    assert fp.compare_fingerprints(counted, whole).kind == "identical"
    verdict = fp.compare_fingerprints(alone, whole)  # no content digest, no identity
    assert (verdict.kind, verdict.worst_db) == ("equivalent", -np.inf)
    assert "no difference" in str(verdict)


def test_samples_are_spread_over_the_whole_dataset(original):
    chosen = fp.fingerprint_samples(original.spec)
    assert (min(chosen), max(chosen)) == (0, 19)
    assert len(chosen) == fp.BLOCKS
    for block, ids in chosen.items():
        assert ((ids >= 16 * block) & (ids < min(16 * block + 16, 314))).all()
        assert (np.diff(ids) > 0).all()
    large = original.spec.model_copy(update={"samples": 10**9, "block": 500})
    assert sum(map(len, fp.fingerprint_samples(large).values())) == fp.SAMPLES
    one = original.spec.model_copy(update={"samples": 3})
    assert [ids.tolist() for ids in fp.fingerprint_samples(one).values()] == [[0, 1, 2]]


def test_projections_are_pinned_and_keyed():
    """Shipped fingerprints hang on these signs."""
    signs = fp._signs("channel", 6, 2)
    np.testing.assert_array_equal(signs.ravel(), PINNED_SIGNS)
    assert not np.array_equal(signs, fp._signs("channel_480khz", 6, 2))
    big = fp._signs("channel", 4096, 4)
    assert set(np.unique(big)) == {-1.0, 1.0}
    assert np.abs(big.T @ big / 4096 - np.eye(4)).max() < 0.1


@pytest.mark.parametrize("level_db", [-110.0, -70.0, -57.0, -40.0, 0.0])
def test_noise_is_seen_at_its_level(original, tmp_path, level_db):
    other = edited(original, tmp_path, channel=noisy(level_db))
    whole = compare_datasets(original, other)
    assert whole.samples == 314
    assert whole.worst_db == pytest.approx(level_db, abs=0.3 if level_db > -100 else 1.0)
    prints = fp.compare_fingerprints(fp.fingerprint_dataset(original), fp.fingerprint_dataset(other))
    assert prints.samples == SAMPLES
    # Four projections: the mean of four squared Gaussian parts, at its largest over 128 samples.
    assert level_db < prints.worst_db < level_db + 7
    expected = "equivalent" if level_db < TOLERANCE_DB else "different"
    assert (whole.kind, prints.kind) == (expected, expected)
    assert {array.name for array in whole.arrays if array.worst_db > -np.inf} == {"channel"}


def test_one_wrong_entry_of_one_wrong_sample_is_found(original, tmp_path):
    """An error that sits in a single entry is as visible to projections as one spread over the array."""
    sample = fp.fingerprint_dataset(original).samples[70]

    def spoil(h):
        h[sample].flat[5] += np.linalg.norm(h[sample]) * 1e-2
        return h

    verdict = fp.compare_fingerprints(
        *map(fp.fingerprint_dataset, (original, edited(original, tmp_path, channel=spoil)))
    )
    assert (verdict.kind, verdict.outside) == ("different", 1)
    assert verdict.worst_db == pytest.approx(-40, abs=0.1)
    assert str(verdict) == f"different: 1 of {SAMPLES} samples are beyond -50 dB: channel in 1 at up to -40.0 dB"


@pytest.mark.parametrize("name", ["los", "ue_id", "site"])
def test_whole_numbers_have_no_tolerance(original, tmp_path, name):
    sample = fp.fingerprint_dataset(original).samples[3]

    def flip(values):
        values[sample] ^= 1
        return values

    other = edited(original, tmp_path, **{name: flip})
    for verdict in (
        compare_datasets(original, other),
        fp.compare_fingerprints(*map(fp.fingerprint_dataset, (original, other))),
    ):
        assert (verdict.kind, verdict.outside) == ("different", 1)
        assert f"{name} in 1" in str(verdict)


def test_one_flip_in_a_thousand_is_forgiven():
    errors = {"channel": np.full(2000, 1e-10), "los": np.zeros(2000)}
    errors["los"][:2] = np.inf
    errors["channel"][:2] = 1.0
    verdict = Verdict.of_errors(errors)
    assert (verdict.kind, verdict.outside) == ("equivalent", int(FLIPS * 2000))
    assert "2 of them beyond it" in str(verdict)
    errors["los"][2] = np.inf
    assert Verdict.of_errors(errors).kind == "different"


def test_missing_values_have_to_be_missing_in_both():
    a = np.array([1.0, np.nan, np.inf, -np.inf, 2.0])
    assert (relative_error(a, a, per_sample=False) == 0).all()
    b = np.array([1.0, 1.0, np.nan, np.inf, np.nan])
    assert relative_error(a, b, per_sample=False).tolist() == [0, np.inf, np.inf, np.inf, np.inf]
    h = np.zeros((3, 4), np.complex64)
    other = h.copy()
    other[1, 2] = 1e-20
    assert relative_error(h, other, per_sample=True).tolist() == [0, np.inf, 0]
    for kind in (h, a.reshape(-1, 1)):
        prints = fp.print_array("x", kind)
        assert (fp._errors(prints, prints) == 0).all()
    assert fp._errors(fp.print_array("x", h), fp.print_array("x", other)).tolist() == [0, np.inf, 0]


def test_another_layout_is_different_and_says_so(original):
    mine = fp.fingerprint_dataset(original)
    less = dataclasses.replace(mine, content=None, arrays={n: a for n, a in mine.arrays.items() if n != "los"})
    verdict = fp.compare_fingerprints(mine, less)
    assert str(verdict) == "different: los is absent, not int8 ()"
    with pytest.raises(DatasetError, match="not of the same samples"):
        fp.compare_fingerprints(mine, dataclasses.replace(mine, samples=(1, 2)))


def test_files(original, tmp_path):
    mine = fp.fingerprint_dataset(original)
    path = tmp_path / "prints-tiny.json"
    files.write_fingerprint(mine, path)
    assert path.stat().st_size < 50_000
    back = files.read_fingerprint(path)
    assert (back.spec, back.content, back.samples) == (mine.spec, mine.content, mine.samples)
    for name, item in mine.arrays.items():
        assert (back.arrays[name].kind, back.arrays[name].dtype, back.arrays[name].shape) == (
            item.kind, item.dtype, item.shape,
        )  # fmt: skip
        np.testing.assert_array_equal(back.arrays[name].data, item.data)
    record = json.loads(path.read_text())
    los = np.frombuffer(base64.b64decode(record["arrays"]["los"]["data"]), "<i1")  # readable without wbench
    np.testing.assert_array_equal(los, np.asarray(original.array("los")[:])[record["samples"]])
    for text in ("[]", "{", json.dumps({**record, "format": 2}), json.dumps({**record, "samples": [1]})):
        path.write_text(text)
        with pytest.raises(DatasetError, match="The fingerprint cannot be read"):
            files.read_fingerprint(path)


# --- what ships ----------------------------------------------------------------------------------------------------


def shipped() -> list[str]:
    return sorted(registry.registry().names("fingerprint"))


def test_all_standard_sets_have_one():
    assert {f"{recipe}-{size}" for recipe in STANDARD for size in ("tiny", "standard", "large")} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_one_is_of_the_recipe_as_it_is_now(name):
    """Fails when a recipe or a generator's version changed: python tools/fingerprints.py RECIPE --whole."""
    path = registry.registry().get("fingerprint", name).path
    assert path.stat().st_size < 100_000  # slots has 42 arrays, others some 15
    recipe, _, size = name.rpartition("-")
    spec, *_ = build_spec(recipe, size, ready=False)
    found = files.read_fingerprint(path)
    assert found.spec == spec.digest
    assert found.samples == tuple(int(i) for ids in fp.fingerprint_samples(spec).values() for i in ids)
    assert found.content is not None or size == "large"
    assert files.shipped_fingerprint(spec) is not None


@pytest.mark.parametrize("recipe", ["plane-wave", "snap-umi-ula", "mob-uma"])
def test_this_machine_makes_the_published_standard_data(recipe):
    """Fails when a generator's numbers change and its version does not, on any machine."""
    if recipe != "plane-wave":
        pytest.importorskip("sionna.phy")
    spec, *_ = build_spec(recipe, "standard")
    verdict = fp.compare_fingerprints(files.shipped_fingerprint(spec), fingerprint_spec(spec))
    assert verdict.kind == "equivalent", str(verdict)
    assert verdict.worst_db < -80


@pytest.mark.parametrize("threads", [1, 2])
def test_other_processors_and_threads_are_equivalent(threads):
    """Old instruction sets stand for other processors: other rounding, the same data."""
    code = (
        "from wbench.run.fingerprint import fingerprint_recipe as f; from wbench.dataset import fingerprint as p;"
        "from wbench.dataset.fingerprint_files import read_fingerprint, registry;"
        "m = f('plane-wave', 'tiny', whole=True);"
        "path = registry.registry().get('fingerprint', 'plane-wave-tiny').path;"
        "v = p.compare_fingerprints(read_fingerprint(path), m);"
        "print(v.kind, v.worst_db)"
    )
    settings = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    if threads == 1 and os.uname().machine == "x86_64":
        settings |= {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**environment(), **settings}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    kind, worst_db = run.stdout.split()
    assert kind in ("identical", "equivalent"), run.stderr
    assert float(worst_db) < -110


# --- the command line, and results ---------------------------------------------------------------------------------


def test_verify_says_why_there_can_be_no_fingerprint(original, capsys, monkeypatch):
    assert "is installed\n" in cli(capsys, "verify", original.path)[1]
    monkeypatch.setattr(type(load_generator(original.spec.generator)), "portable", False)
    assert "makes other data on other kinds of processors" in cli(capsys, "verify", original.path)[1]


def test_verify_names_the_verdict(recipe, original, tmp_path, capsys, providers):
    assert "no fingerprint of this spec is installed" in cli(capsys, "verify", original.path)[1]
    home = install_provider(providers, "prints", 'api = 1\nfingerprints = "*.json"\n')
    files.write_fingerprint(fingerprint_recipe(recipe, "tiny", whole=True), home / "prints-tiny.json")
    registry.registry.cache_clear()
    code, out, _ = cli(capsys, "verify", original.path)
    assert (code, "against the published dataset: identical: the same bits" in out) == (0, True)

    near = edited(original, tmp_path, channel=noisy(-90.0))
    code, out, _ = cli(capsys, "verify", near.path)
    assert code == 0
    assert "against the published dataset: equivalent: at most -8" in out
    assert "tolerance -50 dB" in out

    (tmp_path / "far").mkdir()
    far = edited(original, tmp_path / "far", channel=noisy(-20.0))
    code, out, err = cli(capsys, "verify", far.path)
    assert code == 1
    assert f"different: {SAMPLES} of {SAMPLES} samples are beyond -50 dB: channel in {SAMPLES} at up to -1" in out
    assert "cannot be ranked" in err
    (home / "prints-tiny.json").write_text("{}")
    code, _, err = cli(capsys, "verify", near.path)
    assert code == 1
    assert "The fingerprint cannot be read." in err


def test_verify_against_another_dataset(recipe, original, tmp_path, capsys):
    other = generate(recipe, size="tiny", out=tmp_path / "two.zarr", workers=1).path
    assert cli(capsys, "verify", original.path, "--against", other)[1].endswith("identical: the same bits\n")
    near = edited(original, tmp_path, channel=noisy(-90.0)).path
    code, out, _ = cli(capsys, "verify", near, "--against", original.path)
    assert code == 0
    assert "equivalent: at most -90.0 dB (channel) in 314 samples; tolerance -50 dB" in out
    seed = generate(recipe, size="tiny", out=tmp_path / "seed.zarr", seed=5).path
    code, out, _ = cli(capsys, "verify", seed, "--against", original.path)
    assert code == 1
    assert "note: the two were asked for with another seed" in out
    assert "different: 314 of 314 samples" in out
    damaged = next(path for path in (near / "channel" / "c" / "3").rglob("*") if path.is_file())
    damaged.write_bytes(damaged.read_bytes()[:-9])
    code, _, err = cli(capsys, "verify", original.path, "--against", near)
    assert code == 1
    assert "The dataset to compare with is damaged: 1 of" in err
    assert f"wbench verify {near} --repair" in err


def test_results_record_the_verdict(lab, monkeypatch):
    from wbench.run import records

    task = lab.task("los")
    assert records.dataset_record(task, next(iter(task.datasets))).verdict is None
    for kind, error in (("equivalent", 1e-9), ("different", 1e-2)):
        verdict = Verdict.of_errors({"channel": np.full(9, error)})
        monkeypatch.setattr(records, "shipped_verdict", lambda _, verdict=verdict: verdict)
        record = records.dataset_record(task, next(iter(task.datasets)))
        assert record.verdict == kind
        assert record.worst_db == pytest.approx(10 * np.log10(error))


def test_the_verdict_is_read_once(original, monkeypatch):
    from wbench.run import fingerprint

    calls = []
    monkeypatch.setattr(fingerprint, "shipped_fingerprint", lambda spec: calls.append(spec))
    dataset = open_dataset(original.path)
    assert shipped_verdict(dataset) is None
    assert shipped_verdict(dataset) is None
    assert len(calls) == 1


@pytest.mark.parametrize("storage", ["rounded", "float16"])
def test_lossy_storage_is_equivalent_to_lossless(recipe, original, tmp_path, storage):
    lossy = generate(recipe, size="tiny", out=tmp_path / "lossy.zarr", storage=storage).open()
    assert lossy.spec.digest != original.spec.digest
    for verdict in (
        compare_datasets(original, lossy),
        fp.compare_fingerprints(fingerprint_spec(lossy.spec), fp.fingerprint_dataset(lossy)),
    ):
        assert verdict.kind == "equivalent"
        assert -100 < verdict.worst_db < -52
