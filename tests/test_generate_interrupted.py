"""Kills, Ctrl-C, two writers: what is left is always carried on to the undisturbed bits."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.helpers_data import cli, snapshot, start, write_recipe
from wbench import generate, open_dataset
from wbench.run import fill

SHARDS = 48
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    return write_recipe(folder, "many", samples=SHARDS * 8 - 3, block=4, shard_blocks=2, paths=200, subcarriers=64)


@pytest.fixture(scope="module")
def undisturbed(recipe):
    return generate(recipe, size="tiny", out=recipe.parent / "undisturbed.zarr").open().content_digest


def entries(out: Path) -> int:
    return len(list(out.glob(".wbench/shard-*.json")))


def wait_for(condition, what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.001)


def begin(recipe: Path, out: Path, workers: int) -> subprocess.Popen[str]:
    return start("generate", recipe, "--size", "tiny", "--out", out, "--workers", workers)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def finish(capsys, recipe: Path, out: Path, undisturbed: str) -> None:
    kept = entries(out)
    code, text, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--workers", 1)
    assert code == 0
    assert f"{SHARDS - kept} shards made, {kept} kept" in text
    assert f"content {undisturbed}" in text
    assert cli(capsys, "verify", out)[0] == 0
    assert not list(out.glob(".wbench/tmp/*"))
    assert not list(out.rglob("*.tmp"))


def test_killed_at_random_and_run_again(recipe, undisturbed, tmp_path, capsys):
    out, chance = tmp_path / "out.zarr", random.Random(7)
    kills = 0
    for attempt in range(6):
        process = begin(recipe, out, 1)
        goal = min(SHARDS - 10, entries(out) + chance.randint(0, 6))
        wait_for(lambda goal=goal: entries(out) >= goal and out.exists(), "no progress")
        time.sleep(chance.uniform(0, 0.02))  # anywhere between two entries
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if attempt % 2 == 0:  # what a killed writer leaves behind, for sure
            (out / ".wbench" / "tmp").mkdir(exist_ok=True)
            (out / ".wbench" / "tmp" / f"0{attempt}").write_bytes(b"half")
    assert kills >= 5
    finish(capsys, recipe, out, undisturbed)


def test_killed_while_the_folder_is_made(recipe, undisturbed, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    process = begin(recipe, out, 1)
    wait_for(lambda: list(tmp_path.glob(".out.zarr.*.tmp")) or out.exists(), "no folder")
    process.kill()
    process.communicate()
    finish(capsys, recipe, out, undisturbed)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_workers_do_not_outlive_a_killed_parent(recipe, undisturbed, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    process = begin(recipe, out, 2)
    wait_for(lambda: entries(out) >= 3, "no progress")
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    try:
        wait_for(lambda: not any(map(alive, workers)), "workers are still there")
    finally:
        for worker in filter(alive, workers):
            os.kill(worker, signal.SIGKILL)
    process.communicate()
    finish(capsys, recipe, out, undisturbed)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_is_a_clean_stop(workers, recipe, undisturbed, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    process = begin(recipe, out, workers)
    wait_for(lambda: entries(out) >= 3, "no progress")
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "Stopped. What is finished is kept; the same command carries on." in err
    assert "Traceback" not in err
    assert entries(out) < SHARDS
    finish(capsys, recipe, out, undisturbed)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("delay_s", [0.02, 0.1])
def test_an_interrupt_while_workers_start_prints_no_traceback(delay_s, recipe, tmp_path):
    process = begin(recipe, tmp_path / "out.zarr", 2)
    wait_for(lambda: len([pid for pid in children(process.pid) if b"spawn_main" in cmdline(pid)]) == 2, "no workers")
    time.sleep(delay_s)  # they are importing now
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_two_processes_at_the_same_time_share_the_work(recipe, undisturbed, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    process = begin(recipe, out, 1)
    wait_for(lambda: entries(out) >= 1, "no progress")
    code, text, _ = cli(capsys, "generate", recipe, "--size", "tiny", "--out", out, "--workers", 1)
    theirs, _ = process.communicate(timeout=DEADLINE_S)
    made = [int(re.search(r"(\d+) shards made", report)[1]) for report in (text, theirs)]
    assert (code, process.returncode) == (0, 0)
    assert sum(made) == SHARDS  # none was made twice
    assert min(made) > 0
    assert f"content {undisturbed}" in text
    assert f"content {undisturbed}" in theirs
    finish(capsys, recipe, out, undisturbed)


def test_a_process_that_hangs_holds_up_its_own_shard_only(recipe, undisturbed, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fill, "PATIENCE_S", 0.3)
    out = tmp_path / "out.zarr"
    process = begin(recipe, out, 1)
    wait_for(lambda: entries(out) >= 1, "no progress")
    process.send_signal(signal.SIGSTOP)  # it cannot finish in the meantime
    try:
        for arguments in (("generate", recipe, "--size", "tiny", "--out", out), ("verify", out, "--repair")):
            code, _, err = cli(capsys, *arguments)
            if code == 0:
                continue  # it was stopped between two shards: there was nothing to wait for
            assert code == 2
            assert "Another process is writing this dataset." in err
            assert entries(out) == SHARDS - 1
    finally:
        process.send_signal(signal.SIGCONT)
    text, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert undisturbed in text
    finish(capsys, recipe, out, undisturbed)


def test_a_folder_with_another_spec_or_other_files_is_refused_and_untouched(recipe, tmp_path, capsys):
    other = write_recipe(tmp_path, "other")
    generate(other, size="tiny", out=tmp_path / "other.zarr")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "file.zarr").write_text("a file")
    (tmp_path / "zarr").mkdir()
    (tmp_path / "zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    before = snapshot(tmp_path)
    for name, what in (
        ("other.zarr", "another dataset"),
        ("photos", "not a wbench dataset"),
        ("file.zarr", "not a wbench dataset"),
        ("zarr", "not a wbench dataset"),
    ):
        code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", tmp_path / name)
        assert code == 2
        assert what in err
        assert "left untouched" in err
        assert snapshot(tmp_path) == before


def test_an_empty_folder_and_a_link_to_one_are_taken(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("empty", "link"):
        assert cli(capsys, "generate", recipe, "--size", "tiny", "--out", tmp_path / name)[0] == 0
        assert not open_dataset(tmp_path / name).missing_shards
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    code, _, err = cli(capsys, "generate", recipe, "--size", "tiny", "--out", "/proc/nowhere/x.zarr")
    assert code == 1
    assert "cannot be created" in err
