"""Entries one by one and in parts: the same dataset, whoever is killed between two steps."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.helpers_data import cli, write_recipe
from wbench import generate, open_dataset
from wbench.dataset import manifest
from wbench.dataset.entries import entry_digest
from wbench.dataset.manifest import (
    compact,
    content_digest,
    entry_path,
    forget_shards,
    full_groups,
    has_entry,
    read_entries,
    scan_entries,
)
from wbench.dataset.place import FolderPlace, place_of
from wbench.dataset.verify import verify_dataset
from wbench.digest import value_digest
from wbench.errors import DatasetError
from wbench.run import fill
from wbench.run.generate import make_shard

GROUP, SHARDS = 8, 27  # three whole groups and three shards more


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(manifest, "GROUP", GROUP)
    monkeypatch.setattr(fill, "GROUP", GROUP)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("manifest"), "many", samples=SHARDS * 2, block=2, shard_blocks=1)


@pytest.fixture(scope="module")
def digest(recipe):
    """Of a dataset whose entries were never compacted."""
    made = generate(recipe, size="tiny", out=recipe.parent / "never.zarr").open()
    assert value_digest([[shard, made.entries[shard]["arrays"]] for shard in range(SHARDS)]) == made.content_digest
    return made.content_digest


@pytest.fixture(params=["folder", "memory"])
def made(request, recipe, tmp_path):
    out = tmp_path / "out.zarr" if request.param == "folder" else f"memory://manifest/{tmp_path.name}"
    return generate(recipe, size="tiny", out=out).open()


def names(place):
    return {name for name in place.list(".wbench") if name.startswith(("shard-", "part-"))}


PARTS = {f"part-{group:06d}.jsonl" for group in range(3)}


def test_whole_groups_become_parts_while_they_are_made(made, digest):
    assert names(made.place) == PARTS | {f"shard-{shard:06d}.json" for shard in (24, 25, 26)}
    assert made.content_digest == digest
    assert list(made.entries) == list(range(SHARDS))
    assert len(made.entries) == SHARDS
    assert made.entries[17]["samples"] == [34, 36]
    assert SHARDS not in made.entries
    assert "x" not in made.entries
    with pytest.raises(KeyError):
        made.entries[SHARDS]
    assert verify_dataset(made) == []
    assert full_groups(made.place, made.spec) == []


def test_a_shard_of_a_part_is_made_again(made, digest, capsys):
    place, spec = made.place, made.spec
    forget_shards(place, spec, [3, 25])
    assert open_dataset(made.path).missing_shards == [3, 25]
    assert not has_entry(place, spec, 3)
    assert has_entry(place, spec, 4)
    assert not compact(place, spec, 0)  # a shard is missing
    assert [problem.shard for problem in verify_dataset(open_dataset(place))] == [3, 25]
    code, out, _ = cli(capsys, "verify", made.path, "--repair")
    assert code == 0
    assert "2 shards made again, 0 problems left" in out
    assert digest in out
    assert names(place) == PARTS | {f"shard-{shard:06d}.json" for shard in (24, 25, 26)}


def test_the_entry_of_a_shard_counts_before_the_part(made):
    place, spec = made.place, made.spec
    make_shard(place, spec, 5)
    assert has_entry(place, spec, 5)
    assert "shard-000005.json" in names(place)
    assert full_groups(place, spec) == [0]
    assert compact(place, spec, 0)
    assert compact(place, spec, 0)  # again: nothing changes
    assert "shard-000005.json" not in names(place)
    assert not compact(place, spec, 3)  # not a whole group


def test_killed_between_the_part_and_the_entries(made, digest, monkeypatch):
    place, spec = made.place, made.spec
    for shard in range(GROUP):
        make_shard(place, spec, shard)

    def killed(self, keys):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(place), "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        compact(place, spec, 0)
    monkeypatch.undo()
    monkeypatch.setattr(manifest, "GROUP", GROUP)
    assert len(names(place)) == 3 + 3 + GROUP
    assert content_digest(read_entries(place, spec)) == digest
    assert compact(place, spec, 0)
    assert len(names(place)) == 3 + 3


def test_nobody_compacts_a_group_that_somebody_writes(made):
    if not made.place.exclusive:
        pytest.skip("an object store has no claims")
    make_shard(made.place, made.spec, 9)
    with made.place.claim(12, 1) as mine:
        assert mine
        assert not compact(made.place, made.spec, 1)
    assert compact(made.place, made.spec, 1)


@pytest.fixture(scope="module")
def original(recipe):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "GROUP", GROUP)
        patch.setattr(fill, "GROUP", GROUP)
        return generate(recipe, size="tiny", out=recipe.parent / "original.zarr").open()


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "out.zarr")
    return open_dataset(tmp_path / "out.zarr")


def part_file(dataset, group=1):
    return dataset.path / ".wbench" / f"part-{group:06d}.jsonl"


def truncate(data):
    return data[: len(data) // 2]


def flip_header(data):
    return data.replace(b'"first"', b'"fi\x01st"', 1)


def lose_a_line(data):
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:4] + lines[5:])


def flip_a_digest(data):
    at = data.index(b"sha256", len(data) // 2) + 20
    return data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :]


def break_a_line(data):
    at = data.index(b'"samples"', len(data) // 2)
    return data[:at] + b"\x00" + data[at + 1 :]


def join_two_lines(data):
    at = data.index(b"\n", len(data) // 2)
    return data[:at] + b" " + data[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (truncate, range(3, 6)),
        (flip_header, range(1)),
        (lose_a_line, range(1, 2)),
        (flip_a_digest, range(1, 2)),
        (break_a_line, range(1, 2)),
        (join_two_lines, range(2, 3)),
        (lambda data: b"", range(8, 9)),
        (lambda data: b"\xff" * 700, range(8, 9)),
    ],
)
def test_a_damaged_part_costs_what_cannot_be_read_and_is_repaired(folder, digest, damage, lost, capsys):
    file = part_file(folder)
    file.write_bytes(damage(file.read_bytes()))
    found = verify_dataset(open_dataset(folder.path))
    assert len(found) in lost
    assert all(8 <= problem.shard < 16 for problem in found)
    if found:
        code, out, _ = cli(capsys, "verify", folder.path, "--repair")
        assert code == 0
        assert f"{len(found)} shards made again" in out
    assert open_dataset(folder.path).content_digest == digest
    assert verify_dataset(open_dataset(folder.path)) == []


def test_a_part_of_another_dataset_and_a_part_that_cannot_be(folder, digest, tmp_path, capsys):
    file = part_file(folder)
    file.write_bytes(file.read_bytes().replace(folder.spec.digest.encode(), b"sha256:0"))
    part_file(folder, 3).write_bytes(part_file(folder, 0).read_bytes())
    (folder.path / ".wbench" / "part-notes.jsonl").write_text("the user's own")
    with pytest.raises(DatasetError, match="another dataset"):
        _ = open_dataset(folder.path).missing_shards
    assert [p.shard for p in verify_dataset(open_dataset(folder.path))] == [*range(8, 16), 24]
    assert cli(capsys, "verify", folder.path, "--repair")[0] == 0
    assert open_dataset(folder.path).content_digest == digest


def test_a_damaged_line_is_named_by_whoever_needs_it(folder):
    file = part_file(folder)
    file.write_bytes(break_a_line(file.read_bytes()))
    dataset = open_dataset(folder.path)
    assert dataset.missing_shards == []  # the header says that they are there
    with pytest.raises(DatasetError, match="its manifest entry is damaged") as caught:
        _ = dataset.content_digest
    assert caught.value.next_step == f"wbench verify {folder.path} --repair"


def test_entries_may_hold_what_strict_json_does_not(folder):
    entry = json.loads(part_file(folder).read_text().splitlines()[1])
    entry["statistics"] = {"k_factor_db": float("nan")}
    entry["digest"] = entry_digest(entry)
    entry_path(folder.path, 8).write_text(json.dumps(entry))
    assert compact(folder.path, folder.spec, 1)
    assert 8 in scan_entries(folder.path, folder.spec)[0]


def test_a_finished_dataset_on_a_read_only_disk_is_finished(recipe, folder, monkeypatch):
    def refused(*_):
        raise PermissionError("read-only file system")

    for name in ("write", "write_many", "remove", "clean", "create", "claim"):
        monkeypatch.setattr(FolderPlace, name, refused)
    again = generate(recipe, size="tiny", out=folder.path)
    assert (again.made, again.kept) == (0, SHARDS)
    assert place_of(folder.path).exclusive


def test_entries_that_move_into_a_part_while_they_are_read(folder, digest, monkeypatch):
    for shard in range(GROUP):
        make_shard(folder.place, folder.spec, shard)
    read = FolderPlace.read_many

    def late(self, keys):
        if not compacting:
            compacting.append(True)
            assert compact(self, folder.spec, 0)
        return read(self, keys)

    compacting = []
    monkeypatch.setattr(FolderPlace, "read_many", late)
    assert open_dataset(folder.path).missing_shards == []
    assert open_dataset(folder.path).content_digest == digest


def test_a_write_survives_that_somebody_cleans_up(tmp_path, monkeypatch):
    from wbench.dataset import place

    durably, calls = place._write_durably, []

    def cleaned(path, data):
        calls.append(path)
        durably(path, data)
        if len(calls) < 3:
            path.unlink()

    monkeypatch.setattr(place, "_write_durably", cleaned)
    FolderPlace(tmp_path).write("a/b", b"whole")
    assert (tmp_path / "a" / "b").read_bytes() == b"whole"
    assert len(calls) == 3
