"""A real Dask scheduler with worker processes: the same bits, whoever of them is killed."""

from __future__ import annotations

import threading
import time

import pytest

from tests.helpers_data import cli, write_recipe
from wbench import generate, open_dataset

distributed = pytest.importorskip("distributed", reason="needs wbench[dask]")

from tests.helpers_dask import DEADLINE_S, Cluster  # noqa: E402 - it needs distributed

SHARDS = 48


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dask")
    return write_recipe(folder, "many", samples=SHARDS * 8 - 3, block=4, shard_blocks=2, paths=200, subcarriers=64)


@pytest.fixture(scope="module")
def undisturbed(recipe):
    return generate(recipe, size="tiny", out=recipe.parent / "undisturbed.zarr").open().content_digest


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.start_workers(2)
        yield cluster


def entries(out):
    return len(list(out.glob(".wbench/shard-*.json")))


def when(condition, action):
    """Do something as soon as a condition holds, while the main thread works."""

    def watch():
        end = time.monotonic() + DEADLINE_S
        while not condition() and time.monotonic() < end:
            time.sleep(0.002)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_two_workers_one_killed_in_mid_run(two_workers, recipe, undisturbed, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    killer = when(lambda: entries(out) >= 5, two_workers.workers[0].kill)
    code, text, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--dask", two_workers.address)
    killer.join()
    assert (code, two_workers.workers[0].wait()) == (0, -9)
    assert f"content {undisturbed}" in text
    made = int(text.split(" shards made")[0].rpartition(" ")[2])
    assert made in (SHARDS, SHARDS - 1)  # killed after an entry was written and before it said so
    assert "Traceback" not in err


def test_a_worker_with_threads_makes_one_shard_at_a_time(recipe, undisturbed, tmp_path):
    with Cluster(tmp_path) as cluster:
        cluster.start_workers(1, threads=4)
        report = generate(recipe, size="tiny", out=tmp_path / "out.zarr", dask=cluster.address)
    assert (report.made, report.failures) == (SHARDS, {})
    assert report.open().content_digest == undisturbed


def test_a_scheduler_that_dies_loses_nothing_and_the_same_command_carries_on(
    recipe, undisturbed, tmp_path, capsys, two_workers
):
    out = tmp_path / "out.zarr"
    with Cluster(tmp_path) as cluster:
        cluster.start_workers(1)
        killer = when(lambda: entries(out) >= 5, cluster.scheduler.kill)
        code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--dask", cluster.address)
        killer.join()
    assert code == 1
    assert "The scheduler was lost" in err or "The Dask scheduler was lost" in err
    assert "the same command carries on" in err
    kept = entries(out)
    assert 5 <= kept < SHARDS
    assert len(open_dataset(out).missing_shards) == SHARDS - kept
    code, text, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--dask", two_workers.address)
    assert code == 0
    assert f"{SHARDS - kept} shards made, {kept} kept" in text
    assert f"content {undisturbed}" in text


def test_no_scheduler_is_one_clear_error(recipe, tmp_path, capsys, monkeypatch):
    from wbench.run import dask

    monkeypatch.setattr(dask, "CONNECT_S", 1.0)
    run = ("generate", recipe, "--size", "tiny", "--out", tmp_path / "out.zarr")
    code, _, err = cli(capsys, *run, "--dask", "tcp://127.0.0.1:9")
    assert code == 3
    assert "No Dask scheduler answers." in err
    code, _, err = cli(capsys, *run, "--dask", "carrier-pigeon://x")
    assert code == 2
    assert "no address of a Dask scheduler" in err
    code, _, err = cli(capsys, *run, "--dask", "tcp://127.0.0.1:9", "--workers", 2)
    assert code == 2


def test_a_worker_without_wbench_is_one_clear_error(recipe, tmp_path, capsys):
    with Cluster(tmp_path) as cluster:
        cluster.start_workers(1, with_wbench=False)
        code, _, err = cli(
            capsys, "generate", recipe, "--size", "tiny", "--out", tmp_path / "out.zarr", "--dask", cluster.address
        )
    assert code == 3
    assert "A Dask worker has no wbench." in err
    assert "in the workers' environment" in err


def test_a_scheduler_needs_no_wbench(recipe, undisturbed, tmp_path):
    with Cluster(tmp_path, scheduler_with_wbench=False) as cluster:
        cluster.start_workers(1)
        report = generate(recipe, size="tiny", out=tmp_path / "out.zarr", dask=cluster.address)
    assert report.failures == {}
    assert report.open().content_digest == undisturbed


def test_an_output_that_workers_do_not_see_is_named(recipe, tmp_path, capsys, two_workers):
    """Memory of this process stands for a disk that only this machine has."""
    code, _, err = cli(
        capsys, "generate", recipe, "--size", "tiny", "--out", "memory://here/out.zarr", "--dask", two_workers.address
    )
    assert code == 1
    assert "This is not a wbench dataset." in err
    assert "memory://here/out.zarr" in err
