"""The engine: the same bits with any number of workers, failed shards, checks of what a session returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tests.helpers_data import cli, install_provider, providers, snapshot, write_recipe  # noqa: F401 - a fixture
from wbench import generate, open_dataset, registry
from wbench.dataset.place import FolderPlace
from wbench.errors import (
    MissingDependencyError,
    OutputConflictError,
    PluginError,
    SpecError,
    UnknownNameError,
    UsageError,
)
from wbench.run.executors import one_thread, run_units
from wbench.run.generate import make_shard
from wbench.run.plan import find_dataset
from wbench_generators.plane_wave import PlaneWave

ACME = """
from contextlib import contextmanager
from pathlib import Path
import numpy as np
from wbench.dataset.schema import ArraySpec, channel_spec, standard
from wbench.generator import Generator, GeneratorParams, Layout, Session

OPENED = []

class Params(GeneratorParams):
    switch: str = ""           # a file; while it exists, block 2 fails as it says
    level: float = 1.0

class Run(Session):
    def __init__(self, params):
        self.params, self.broken = params, False
        OPENED.append(self)
    def simulate(self, block):
        switch = Path(self.params.switch) if self.params.switch else None
        fault = switch.read_text() if switch and switch.exists() and block.index == 2 else ""
        if self.broken:
            raise RuntimeError("a session was used after it had failed")
        if fault == "raise":
            self.broken = True
            raise ValueError("the simulator lost its licence")
        rng, n = block.rng("h"), len(block)
        h = (rng.standard_normal((n, 1, 1, 2, 3)) + 1j).astype(np.complex64) * np.float32(self.params.level)
        arrays = {
            "channel": h,
            "los": np.ones(n, np.int8),
            # All missing, and with the sign bit that 0/0 gives on x86: the chunk holds nothing but one kind of NaN.
            "k_factor_db": np.copysign(np.full(n, np.nan, np.float32), -1),
            "beam": rng.integers(0, 200, n).astype(np.uint8),
            "indoor": np.zeros(n, np.bool_),
        }
        if fault == "nan": arrays["channel"][1, 0, 0, 0, 0] = np.nan
        if fault == "dtype": arrays["channel"] = h.astype(np.complex128)
        if fault == "shape": arrays["los"] = arrays["los"][:, None]
        if fault == "extra": arrays["surprise"] = arrays["los"]
        if fault == "absent": del arrays["beam"]
        if fault == "los": arrays["los"][0] = -1
        return None, arrays

class Acme(Generator):
    version = 1
    Params = Params
    def layout(self, params):
        if params.level < 0:
            raise ArithmeticError("no layout")
        own = (ArraySpec("beam", (), (), "uint8", "1", "a beam"), ArraySpec("indoor", (), (), "bool", "1", "indoors"))
        labels = standard("los", "k_factor_db")
        return Layout(arrays=(channel_spec("channel", 1, 1, 2, 3), *labels, *own), attributes={"spec": "not yours"})
    @contextmanager
    def open(self, params):
        yield Run(params)
"""
MANIFEST = """
api = 1
recipes = "*-drops.toml"
[generators.acme]
object = "acme_sim.simulator:Acme"
summary = "a third party's simulator"
"""
RECIPE = """
name = "acme-drops"
version = 1
generator = "acme"
summary = "a test"
licence = "CC0-1.0"
seed = 1
block = 4
sizes.tiny = {samples = 18, shard_blocks = 1}
"""


@pytest.fixture
def acme(providers):  # noqa: F811
    home = install_provider(providers, "acme_sim", MANIFEST, **{"acme-drops": RECIPE})
    (home / "simulator.py").write_text(ACME)
    return home


def recipe_with_switch(folder):
    path = folder / "switch.toml"
    path.write_text(RECIPE.replace("acme-drops", "switch") + f'\n[params]\nswitch = "{folder}/fault"\n')
    return path


def test_a_third_partys_generator_needs_no_change_here(acme, tmp_path, capsys):
    assert "acme-drops" in cli(capsys, "list", "recipes", "--format", "csv")[1]
    code, out, _ = cli(capsys, "generate", "acme-drops", "--size", "tiny", "--out", tmp_path / "a.zarr")
    assert code == 0
    assert "18 samples, 5 shards made, 0 kept" in out
    dataset = open_dataset(tmp_path / "a.zarr")
    assert dataset.array_names == ("beam", "channel", "indoor", "k_factor_db", "los")
    assert dataset.attributes["spec"]["generator"] == "acme"  # a layout's attributes cannot replace what identifies it
    assert dataset.read("beam", range(18)).dtype == np.uint8
    assert np.signbit(dataset.read("k_factor_db", range(18))).all()
    assert cli(capsys, "verify", tmp_path / "a.zarr")[0] == 0  # also the bits of NaN are as written
    assert cli(capsys, "generate", "acme-drops", "--size", "tiny", "--out", tmp_path / "a.zarr")[0] == 0


def test_a_dataset_is_read_where_its_simulator_is_not(acme, tmp_path):
    generate("acme-drops", size="tiny", out=tmp_path / "acme-drops-tiny.zarr")
    (acme / "provider.toml").write_text(MANIFEST + 'requires = ["no_such_simulator"]\n')
    registry.registry.cache_clear()
    assert len(find_dataset("acme-drops", "tiny", data=tmp_path)) == 18
    with pytest.raises(MissingDependencyError, match="pip install no_such_simulator"):
        generate("acme-drops", size="tiny", out=tmp_path / "acme-drops-tiny.zarr")


FAULTS = {
    "raise": "ValueError: the simulator lost its licence",
    "nan": "'channel' is not finite",
    "dtype": "complex128 (4, 1, 1, 2, 3) instead of complex64 (4, 1, 1, 2, 3)",
    "shape": "int8 (4, 1) instead of int8 (4,)",
    "extra": "surprise",
    "absent": "beam",
    "los": "zero where there is a path, or not zero without one",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_block_is_reported_and_the_same_command_retries(fault, acme, tmp_path, capsys):
    recipe, out = recipe_with_switch(tmp_path), tmp_path / "a.zarr"
    (tmp_path / "fault").write_text(fault)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--seed", 5, "--out", out)
    assert code == 1
    assert "shard 2 failed: " in err
    assert FAULTS[fault] in err
    assert "1 of 5 shards failed, the others are kept" in err
    assert f"wbench generate {recipe} --size tiny --out {out} --seed 5" in err
    assert open_dataset(out).missing_shards == [2]
    (tmp_path / "fault").unlink()
    code, text, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--seed", 5, "--out", out)
    assert code == 0
    assert "1 shards made, 4 kept" in text
    whole = generate(recipe, size="tiny", seed=5, out=tmp_path / "b.zarr").open()
    assert open_dataset(out).content_digest == whole.content_digest


def test_many_failures_of_one_cause_are_one_line(acme, tmp_path, capsys, monkeypatch):
    import acme_sim.simulator as simulator

    def fail(self, block):
        raise OSError("no space")

    monkeypatch.setattr(simulator.Run, "simulate", fail)
    code, _, err = cli(capsys, "generate", "acme-drops", "--size", "tiny", "--out", tmp_path / "a.zarr")
    assert code == 1
    assert "shard 0, 1, 2, 3, 4 failed: OSError: no space" in err


def test_a_layout_that_raises_is_one_clear_line(acme, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(RECIPE + "\n[params]\nlevel = -1.0\n")
    with pytest.raises(PluginError, match="no layout"):
        generate(path, size="tiny", out=tmp_path / "x.zarr")
    path.write_text(RECIPE + "\n[params]\nlevel = nan\n")
    with pytest.raises(SpecError, match="finite"):
        generate(path, size="tiny", out=tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()


def test_a_layout_that_changed_without_a_new_version_is_named(acme, tmp_path, monkeypatch):
    from wbench.dataset.manifest import entry_path

    first = generate("acme-drops", size="tiny", out=tmp_path / "a.zarr")
    import acme_sim.simulator as simulator

    layout, simulate = simulator.Acme.layout, simulator.Run.simulate

    def wider(self, params):
        found = layout(self, params)
        return type(found)((*found.arrays, simulator.ArraySpec("more", (), (), "int8", "1", "more")))

    def more(self, block):
        rays, arrays = simulate(self, block)
        return rays, {**arrays, "more": arrays["los"]}

    monkeypatch.setattr(simulator.Acme, "layout", wider)
    monkeypatch.setattr(simulator.Run, "simulate", more)
    entry_path(first.path, 1).unlink()
    report = generate("acme-drops", size="tiny", out=first.path)
    assert "raise the generator's version" in report.failures[1]


def test_one_and_two_workers_give_the_same_bits(tmp_path):
    recipe = write_recipe(tmp_path, samples=75)
    one, two = (generate(recipe, size="tiny", out=tmp_path / f"{n}.zarr", workers=n).open() for n in (1, 2))
    assert one.spec.digest == two.spec.digest
    assert one.content_digest == two.content_digest
    strip = [{k: v for k, (v, _) in snapshot(d.path).items() if k != "zarr.json"} for d in (one, two)]
    assert strip[0] == strip[1]  # all files but the provenance


SIONNA = """
name = "few-umi"
version = 1
generator = "sionna-38901"
summary = "a test"
licence = "CC0-1.0"
seed = 3
block = 6
sizes.tiny = {samples = 20, shard_blocks = 1}
[params]
scenario = "umi"
carrier_hz = 3.5e9
bs_height_m = 10.0
distance_m = [20.0, 150.0]
los = "model"
bs = {rows = 2, cols = 2, polarisation = "V"}
bands.channel = {subcarriers = 8, spacing_hz = 30e3}
"""


@pytest.mark.slow
def test_one_and_two_workers_give_the_same_bits_with_sionna(tmp_path):
    path = tmp_path / "few-umi.toml"
    path.write_text(SIONNA)
    one, two = (generate(path, size="tiny", out=tmp_path / f"{n}.zarr", workers=n).open() for n in (1, 2))
    assert one.content_digest == two.content_digest


def test_shards_are_pure_functions_of_their_arguments(tmp_path):
    recipe = write_recipe(tmp_path)
    whole = generate(recipe, size="tiny", out=tmp_path / "a.zarr").open()
    other = generate(recipe, size="tiny", out=tmp_path / "b.zarr").open()
    for shard in (2, 0, 1, 0):  # another order, and one twice
        assert make_shard(other.path, other.spec, shard) == whole.entries[shard]


def test_a_shard_does_not_exist_while_its_data_change(tmp_path, monkeypatch):
    made = generate(write_recipe(tmp_path), size="tiny", out=tmp_path / "a.zarr").open()

    def full(self, objects):
        raise OSError("the disk is full")

    monkeypatch.setattr(FolderPlace, "write_many", full)
    with pytest.raises(OSError, match="the disk is full"):
        make_shard(made.path, made.spec, 1)
    assert open_dataset(made.path).missing_shards == [1]


def test_a_seed_changes_the_bits_and_the_spec(tmp_path):
    recipe = write_recipe(tmp_path)
    first, other = (generate(recipe, size="tiny", seed=s, out=tmp_path / f"{s}.zarr").open() for s in (11, 12))
    assert first.content_digest != other.content_digest
    default = generate(recipe, size="tiny", out=tmp_path / "11.zarr")
    assert (default.made, default.kept) == (0, 3)  # the recipe's seed, said aloud
    with pytest.raises(OutputConflictError):
        generate(recipe, size="tiny", seed=13, out=tmp_path / "11.zarr")


def test_wrong_requests(tmp_path):
    recipe = write_recipe(tmp_path)
    with pytest.raises(UsageError, match="at least 1"):
        generate(recipe, size="tiny", workers=0)
    with pytest.raises(SpecError, match="seed"):
        generate(recipe, size="tiny", seed=-1)
    with pytest.raises(UnknownNameError, match="Unknown size"):
        generate(recipe, size="standard")


def test_units_run_on_one_native_thread():
    np.ones((50, 50)) @ np.ones((50, 50))
    counts = dict(run_units(lambda unit: [pool["num_threads"] for pool in threadpool_info()], [0], (), None))
    assert set(counts[0]) == {1}
    with one_thread():
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}


def test_a_failed_unit_does_not_stop_the_others():
    results = dict(run_units(lambda a, b: a / b, [2, 0, 4], (1.0,), None))
    assert results[2] == 0.5
    assert results[4] == 0.25
    assert isinstance(results[0], ZeroDivisionError)


def test_a_dataset_whose_simulator_is_missing_is_not_laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(generator: PlaneWave, params: object) -> None:
        raise MissingDependencyError("The simulator is not on this machine.")

    out = tmp_path / "data" / "plane-wave-tiny.zarr"
    with monkeypatch.context() as patched:
        patched.setattr(PlaneWave, "require", missing)
        with pytest.raises(MissingDependencyError, match="not on this machine"):
            generate("plane-wave", size="tiny", out=out)
        assert not out.parent.exists()
    generate("plane-wave", size="tiny", out=out)
    monkeypatch.setattr(PlaneWave, "require", missing)
    assert generate("plane-wave", size="tiny", out=out).made == 0  # nothing is asked of a dataset that is there


def test_generators_say_what_they_miss_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WBENCH_QUADRIGA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("WBENCH_COST2100", str(tmp_path / "nowhere"))
    for recipe in ("qd-d1", "csinet-in"):
        with pytest.raises(MissingDependencyError):
            generate(recipe, size="tiny", out=tmp_path / "data" / recipe)
    assert not list(tmp_path.iterdir())
