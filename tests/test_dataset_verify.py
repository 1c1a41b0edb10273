"""Verify and repair: every damaged bit is found, and only what is damaged is made again, to the same bits."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.helpers_data import cli, snapshot, write_recipe
from wbench import generate, open_dataset
from wbench.dataset.manifest import entry_path
from wbench.dataset.verify import verify_dataset
from wbench.errors import DatasetError


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    recipe = write_recipe(folder, samples=43, block=8, shard_blocks=2)
    return generate(recipe, size="tiny", out=folder / "small.zarr").open()


@pytest.fixture
def copy(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "copy.zarr")
    return tmp_path / "copy.zarr"


def data_file(path, array, shard):
    place = path / array / "c" / str(shard)
    return place if place.is_file() else next(p for p in place.rglob("*") if p.is_file())


def flip(path, shard):
    file = data_file(path, "channel", shard)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0x10
    file.write_bytes(data)


def edit_entry(path, which, **fields):
    file = entry_path(path, which)
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


DAMAGES = {
    "bit": flip,
    "truncated": lambda path, shard: data_file(path, "channel", shard).write_bytes(b"\1\2\3"),
    "emptied": lambda path, shard: data_file(path, "los", shard).write_bytes(b""),
    "data gone": lambda path, shard: data_file(path, "ue_position", shard).unlink(),
    "entry gone": lambda path, shard: entry_path(path, shard).unlink(),
    "entry no json": lambda path, shard: entry_path(path, shard).write_text('{"spec": '),
    "entry a list": lambda path, shard: entry_path(path, shard).write_text("[]"),
    "entry without arrays": lambda path, shard: edit_entry(path, shard, arrays={}),
    "entry of another shard": lambda path, shard: edit_entry(path, shard, shard=shard + 1),
    "entry of another spec": lambda path, shard: edit_entry(path, shard, spec="sha256:0"),
}


@pytest.mark.parametrize("shard", [0, 2])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_repaired_and_nothing_else_is_touched(original, copy, damage, shard, capsys):
    DAMAGES[damage](copy, shard)
    before = snapshot(copy)
    assert [problem.shard for problem in verify_dataset(open_dataset(copy))] == [shard]
    code, out, err = cli(capsys, "verify", copy)
    assert code == 1
    assert f"shard {shard}: " in out
    assert f"wbench verify {copy} --repair" in err
    assert snapshot(copy) == before  # looking changes nothing

    code, out, _ = cli(capsys, "verify", copy, "--repair")
    assert code == 0
    assert "1 shards made again, 0 problems left" in out
    assert open_dataset(copy).content_digest == original.content_digest
    assert original.content_digest in out
    after = snapshot(copy)
    others = [name for name in before if not _of_shard(name, shard) and not name.endswith("lock")]
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    assert {name: data for name, (data, _) in after.items()} == {
        name: data for name, (data, _) in snapshot(original.path).items()
    }
    assert cli(capsys, "verify", copy)[0] == 0


def _of_shard(name, shard):
    return f"/c/{shard}" in name or f"shard-{shard:06d}" in name


def test_entries_of_other_datasets_are_named_by_whoever_opens_it(copy):
    edit_entry(copy, 1, spec="sha256:0")
    with pytest.raises(DatasetError, match="Shard 1 cannot be used") as caught:
        _ = open_dataset(copy).missing_shards
    assert caught.value.next_step == f"wbench verify {copy} --repair"


def test_an_entry_of_a_shard_that_cannot_be(original, copy, capsys):
    shutil.copy(entry_path(copy, 0), entry_path(copy, 7))
    (copy / ".wbench" / "shard-notes.json").write_text("the user's own")
    code, out, _ = cli(capsys, "verify", copy)
    assert code == 1
    assert "shard 7: " in out
    assert cli(capsys, "verify", copy, "--repair")[0] == 0
    assert not entry_path(copy, 7).exists()
    assert open_dataset(copy).content_digest == original.content_digest


def test_repair_refuses_another_version_of_the_generator(copy, capsys, monkeypatch):
    from wbench_generators.plane_wave import PlaneWave

    flip(copy, 0)
    before = snapshot(copy)
    monkeypatch.setattr(PlaneWave, "version", 99)
    code, _, err = cli(capsys, "verify", copy, "--repair")
    assert code == 2
    assert "v99" in err
    assert snapshot(copy) == before


def test_verify_of_what_is_no_dataset(tmp_path, capsys):
    assert cli(capsys, "verify", tmp_path / "none")[0] == 3
    assert cli(capsys, "verify", tmp_path)[0] == 1
