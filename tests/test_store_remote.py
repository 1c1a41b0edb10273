"""Datasets behind a URL: the same bits as in a folder, the same command carries on, one clear error for each fault."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers_data import cli, write_recipe
from tests.helpers_s3 import dead_address, point_to, refusing_server, s3, s3_server  # noqa: F401 - fixtures
from wbench import generate, open_dataset
from wbench.dataset.manifest import entry_key, scan_entries
from wbench.dataset.place import place_of
from wbench.dataset.verify import verify_dataset
from wbench.errors import DatasetError, DatasetNotFoundError, MissingDependencyError, MissingError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:.*ClientSession:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("remote"), samples=43)


@pytest.fixture(scope="module")
def local(recipe):
    return generate(recipe, size="tiny", out=recipe.parent / "local.zarr").open()


@pytest.fixture(params=["memory", "s3"])
def url(request, tmp_path):
    base = "memory://lab" if request.param == "memory" else request.getfixturevalue("s3")
    return f"{base}/{tmp_path.name}/small.zarr"


def keys(place, folder=""):
    """Every object below a folder."""
    found = {}
    for name, size in place.list(folder).items():
        key = f"{folder}/{name}" if folder else name
        found |= keys(place, key) if size is None else {key: place.read(key)}
    return found


def test_a_url_holds_the_same_objects_as_a_folder(recipe, local, url):
    made = generate(recipe, size="tiny", out=url)
    assert (made.path, made.made) == (url, 3)
    dataset = open_dataset(url)
    assert dataset.content_digest == local.content_digest
    for name in local.array_names:
        np.testing.assert_array_equal(dataset.read(name, [41, 0, 17]), local.read(name, [41, 0, 17]))
    assert verify_dataset(dataset) == []
    ours, theirs = keys(place_of(url)), keys(local.place)
    assert set(theirs) - set(ours) == {".wbench/lock"}
    assert [key for key in ours if ours[key] != theirs[key] and key != "zarr.json"] == []  # but for the provenance
    again = generate(recipe, size="tiny", out=url)
    assert (again.made, again.kept) == (0, 3)


def test_the_command_line_with_a_url(recipe, local, url, capsys):
    code, out, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--out", url, "--workers", 1)
    assert code == 0
    assert f"{url}: 43 samples, 3 shards made, 0 kept" in out
    assert local.content_digest in out
    place = place_of(url)
    (key,) = (key for key in keys(place, "channel/c/1"))
    damaged = bytearray(place.read(key))
    damaged[100] ^= 1
    place.write(key, bytes(damaged))
    place.remove([entry_key(2)])
    assert "2 of 3 shards" in cli(capsys, "inspect", url)[1]
    code, out, err = cli(capsys, "verify", url)
    assert code == 1
    assert "shard 1: damaged" in out
    assert "shard 2: missing" in out
    assert f"wbench verify {url} --repair" in err
    code, out, _ = cli(capsys, "verify", url, "--repair")
    assert code == 0
    assert "2 shards made again, 0 problems left" in out
    assert local.content_digest in out
    code, out, _ = cli(capsys, "card", url)
    assert code == 0
    assert "small" in out


def test_what_a_killed_creation_left_is_taken_over_and_what_is_not_ours_is_not(recipe, local, url, tmp_path):
    place = place_of(url)
    place.write("los/zarr.json", b"{")  # half of the metadata were there when it was killed
    assert generate(recipe, size="tiny", out=url).open().content_digest == local.content_digest
    other = write_recipe(tmp_path, "other")
    before = keys(place)
    with pytest.raises(UsageError, match="another dataset"):
        generate(other, size="tiny", out=url)
    assert keys(place) == before
    foreign = place_of(f"{url}-notes")
    for key in ("holiday.jpg", "channel/notes.txt"):
        foreign.write(key, b"mine")
        before = keys(foreign)
        with pytest.raises(UsageError, match="left untouched"):
            generate(recipe, size="tiny", out=foreign)
        assert keys(foreign) == before
        foreign.remove([key])


def test_workers_and_options_reach_the_same_storage(recipe, local, s3, s3_server, monkeypatch):  # noqa: F811
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = {"key": "tester", "secret": "secret", "endpoint_url": s3_server}
    url = f"{s3}/workers.zarr"
    made = generate(recipe, size="tiny", out=url, workers=2, storage_options=options)
    assert made.failures == {}
    assert made.open().content_digest == local.content_digest
    assert open_dataset(url, storage_options=options).content_digest == local.content_digest
    assert "secret" not in repr(keys(place_of(url, options))["zarr.json"])
    assert len(scan_entries(made.place, made.spec)[0]) == 3


def test_a_refused_shard_is_kept_aside_there_too(recipe, url, capsys, monkeypatch):
    import wbench.run.generate as engine

    def broken(*_):
        raise ArithmeticError("the simulator diverged")

    monkeypatch.setattr(engine, "simulate_block", broken)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", url)
    assert code == 1
    assert f"What was refused is kept in {url}/.wbench/failed" in err
    assert b"the simulator diverged" in place_of(url).read(".wbench/failed/shard-000001/cause.txt")
    monkeypatch.undo()


def test_nothing_there(url, capsys):
    with pytest.raises(DatasetNotFoundError):
        open_dataset(url)
    assert cli(capsys, "verify", url)[0] == 3
    place_of(url).write("notes.txt", b"mine")
    with pytest.raises(DatasetError, match="not a wbench dataset"):
        open_dataset(url)


def test_a_missing_bucket_is_one_clear_error(recipe, s3, capsys):  # noqa: F811
    for arguments in (("generate", recipe, "--size", "tiny", "--out"), ("verify",)):
        code, _, err = cli(capsys, *arguments, "s3://no-such-bucket/a.zarr")
        assert code == 3
        assert "There is no" in err
        assert "s3://no-such-bucket/a.zarr" in err


def test_a_refused_credential_is_one_clear_error(recipe, s3, monkeypatch, capsys):  # noqa: F811
    with refusing_server() as address:
        point_to(monkeypatch, address)
        for arguments in (("generate", recipe, "--size", "tiny", "--out"), ("verify",), ("inspect",)):
            code, _, err = cli(capsys, *arguments, f"{s3}/a.zarr")
            assert code == 1
            assert "The storage refuses access." in err
            assert "AWS_ACCESS_KEY_ID" in err


def test_a_dead_endpoint_is_one_clear_error(recipe, s3, monkeypatch, capsys):  # noqa: F811
    point_to(monkeypatch, dead_address())
    for arguments in (("generate", recipe, "--size", "tiny", "--out"), ("verify",)):
        code, _, err = cli(capsys, *arguments, f"{s3}/a.zarr")
        assert code == 3
        assert "The storage does not answer." in err
        assert "AWS_ENDPOINT_URL" in err


def test_a_storage_that_dies_in_mid_run_stops_the_run_and_loses_nothing(recipe, local, s3, s3_server, monkeypatch):  # noqa: F811
    import wbench.run.generate as engine

    url, write = f"{s3}/dies.zarr", engine.write_shard

    def dies(place, spec, shard, *rest):
        if shard == 1:
            point_to(monkeypatch, dead_address())
            place = place_of(str(place))
        return write(place, spec, shard, *rest)

    monkeypatch.setattr(engine, "write_shard", dies)
    with pytest.raises(MissingError, match="does not answer"):
        generate(recipe, size="tiny", out=url)
    monkeypatch.setattr(engine, "write_shard", write)
    point_to(monkeypatch, s3_server)
    again = generate(recipe, size="tiny", out=url)
    assert (again.made, again.kept) == (2, 1)
    assert again.open().content_digest == local.content_digest


def test_storage_that_there_is_not(recipe, monkeypatch, capsys):
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", "nowhere://a/b.zarr")
    assert code == 2
    assert "There is no such storage." in err
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(MissingDependencyError, match="gcsfs"):
        open_dataset("gs://bucket/a.zarr")


def test_a_file_url_is_a_folder(recipe, local, tmp_path):
    made = generate(recipe, size="tiny", out=f"file://{tmp_path}/a.zarr")
    assert made.path == tmp_path / "a.zarr"
    assert made.open().content_digest == local.content_digest


def test_the_data_folder_is_no_url(recipe, monkeypatch, capsys):
    monkeypatch.setenv("WBENCH_DATA", "s3://bucket/data")
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny")
    assert code == 2
    assert "--out s3://" in err
