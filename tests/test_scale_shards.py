"""Shares of the shards, several writers of one dataset, and what a run costs that has nothing to do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers_data import cli, command, environment, start, write_recipe
from wbench import generate, open_dataset
from wbench.dataset.manifest import entry_path
from wbench.dataset.place import FolderPlace
from wbench.errors import DatasetError, UsageError
from wbench.run import executors
from wbench.run.executors import run_units, worker_pool
from wbench.run.fill import parse_share

SHARDS = 20


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shares")
    return write_recipe(folder, "many", samples=SHARDS * 8 - 3, block=4, shard_blocks=2)


@pytest.fixture(scope="module")
def undisturbed(recipe):
    return generate(recipe, size="tiny", out=recipe.parent / "undisturbed.zarr").open().content_digest


def test_shares_in_turn(recipe, undisturbed, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    for index, (made, left) in enumerate([(7, 13), (7, 6), (6, 0)]):
        code, text, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--shards", f"{index}/3")
        assert code == 0
        assert f"{made} shards made, 0 kept" in text
        assert (f"{left} of 20 shards are missing" in text) == (left > 0)
        assert (f"content {undisturbed}" in text) == (left == 0)
    again = generate(recipe, size="tiny", out=out, shards=(2, 3))
    assert (again.made, again.kept) == (0, 6)


def test_shares_at_the_same_time_also_make_the_folder(recipe, undisturbed, tmp_path):
    out = tmp_path / "out.zarr"
    shares = [start("generate", recipe, "--size", "tiny", "--out", out, "--shards", f"{i}/4") for i in range(4)]
    for process in shares:
        text, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "5 shards made, 0 kept" in text
    assert open_dataset(out).content_digest == undisturbed


def test_a_share_repeats_only_its_own_failures(recipe, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    generate(recipe, size="tiny", out=out)
    entry_path(out, 3).unlink()
    entry_path(out, 4).write_text("{")
    report = generate(recipe, size="tiny", out=out, shards=(1, 2))
    assert (report.made, report.kept) == (1, 9)
    assert entry_path(out, 4).read_text() == "{"
    assert cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--shards", "1/2")[0] == 1
    assert generate(recipe, size="tiny", out=out).made == 1


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "0/0", "a/b", "1/2/3", "1.0/2"])
def test_what_is_no_share(text, recipe, capsys):
    with pytest.raises(UsageError, match="I/N"):
        parse_share(text)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--shards", text)
    assert code == 2
    assert "0/8 … 7/8" in err


def test_claims_hold_between_processes_and_threads(tmp_path):
    place = FolderPlace(tmp_path)
    program = textwrap.dedent("""
        import sys
        from wbench.dataset.place import FolderPlace
        with FolderPlace(sys.argv[1]).claim(int(sys.argv[2]), int(sys.argv[3])) as mine:
            print(mine)
    """)

    def elsewhere(first, count=1):
        arguments = [sys.executable, "-c", program, str(tmp_path), str(first), str(count)]
        return subprocess.run(arguments, capture_output=True, text=True, env=environment(), check=True).stdout.strip()

    with place.claim(3, 1) as mine, place.claim(7, 2) as others:
        assert mine
        assert others
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: place.claim(3, 1).__enter__()).result() is False
        with place.claim(0, 10) as all_of_them:
            assert not all_of_them
        with place.claim(5, 1) as free:
            assert free  # giving it back must not drop the other locks of this process
        assert (elsewhere(3), elsewhere(8), elsewhere(4), elsewhere(0, 1000)) == ("False", "False", "True", "False")
    assert elsewhere(0, 1000) == "True"


def test_a_place_that_cannot_be_written_is_one_clear_error(recipe, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.zarr"
    generate(recipe, size="tiny", out=out)
    entry_path(out, 0).unlink()

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("wbench.dataset.claims.os.open", refused)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out)
    assert code == 1
    assert "The dataset cannot be written." in err
    with pytest.raises(DatasetError), FolderPlace(out).claim(0, 1):
        pass


def _square(unit):
    return unit * unit


def test_more_units_than_an_executor_is_given_at_once(monkeypatch):
    monkeypatch.setattr(executors, "AHEAD", 3)
    with worker_pool(2) as pool:
        assert dict(run_units(_square, range(20), (), pool)) == {n: n * n for n in range(20)}


SIONNA = """
name = "few-umi"
version = 1
generator = "sionna-38901"
summary = "a test"
licence = "CC0-1.0"
seed = 3
block = 2
sizes.tiny = {samples = 2, shard_blocks = 1}
[params]
scenario = "umi"
carrier_hz = 3.5e9
bs_height_m = 10.0
distance_m = [20.0, 150.0]
los = "model"
bs = {rows = 2, cols = 2, polarisation = "V"}
bands.channel = {subcarriers = 8, spacing_hz = 30e3}
"""


def test_a_finished_dataset_imports_no_simulator(tmp_path):
    import numpy as np

    from wbench.dataset.writer import create_dataset, write_shard
    from wbench.run.generate import array_specs
    from wbench.run.plan import build_spec

    path, out = tmp_path / "few-umi.toml", tmp_path / "out.zarr"
    path.write_text(SIONNA)
    spec, generator, params, _ = build_spec(path, "tiny")
    specs = array_specs(generator.layout(params))
    attributes = {"spec": spec.model_dump(mode="json"), "spec_digest": spec.digest, "schema_version": 1}
    create_dataset(out, spec, specs, attributes)
    write_shard(out, spec, 0, {one.name: np.zeros((2, *one.shape), one.dtype) for one in specs})
    run = command("generate", path, "--size", "tiny", "--out", out)
    run = [run[0], "-X", "importtime", *run[1:]]
    done = subprocess.run(run, capture_output=True, text=True, env=environment(), check=True)
    assert "0 shards made, 1 kept" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & {"torch", "sionna", "zarr", "fsspec", "dask", "distributed", "s3fs"}


def test_a_full_disk_loses_nothing_and_the_same_command_carries_on(recipe, undisturbed, tmp_path, monkeypatch, capsys):
    out, write = tmp_path / "out.zarr", FolderPlace.write

    def full(self, key, data):
        if "/c/7" in key or "/c/11" in key:
            raise OSError(28, "No space left on device", key)
        write(self, key, data)

    monkeypatch.setattr(FolderPlace, "write", full)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out)
    assert code == 1
    assert "No space left on device" in err
    assert "2 of 20 shards failed, the others are kept" in err
    assert open_dataset(out).missing_shards == [7, 11]
    assert not list(out.glob(".wbench/tmp/*"))
    monkeypatch.setattr(FolderPlace, "write", write)
    code, text, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out)
    assert code == 0
    assert "2 shards made, 18 kept" in text
    assert undisturbed in text
