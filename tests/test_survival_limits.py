"""A full disk, files that may not grow, a read-only place: one clear error, nothing lost, and it carries on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import helpers_faults as faults
from tests.helpers_forks import Forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: A process with mounts of its own; needs no rights where user namespaces are allowed.
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    with Forks(folder) as forks:
        yield faults.prepare(folder, forks, faults.survival_recipe(folder, shards=8), seed=3)


@pytest.fixture
def fresh(site):
    shutil.rmtree(site.out, ignore_errors=True)
    shutil.copytree(site.reference, site.out)
    return site


def generate(site, **limits):
    return site.forks.run("generate", site.recipe, "--size", "tiny", "--out", site.out, **limits)


def test_files_that_may_not_grow_while_the_folder_is_made(fresh):
    shutil.rmtree(fresh.out)
    run = generate(fresh, file_limit=2000)
    assert run.code == 1
    assert "The dataset cannot be created." in run.err
    assert not fresh.out.exists()
    assert not list(fresh.out.parent.glob(".*.tmp"))
    assert fresh.content in generate(fresh).out


def test_files_that_may_not_grow_while_shards_are_made(fresh):
    gone = fresh.pick(4)
    for shard in gone:
        fresh.entry(shard).unlink()
    kept = set(range(fresh.shards)) - set(gone)
    before = faults.stamps(fresh, kept)
    smallest = min(path.stat().st_size for shard in kept for path in fresh.files(shard))
    largest = max(path.stat().st_size for shard in kept for path in fresh.files(shard))
    run = generate(fresh, file_limit=(smallest + largest) // 2)
    assert run.code == 1
    assert "File too large" in run.err
    assert "4 of 8 shards failed, the others are kept. Retry:" in run.err
    assert faults.unsound(fresh) == set(gone)
    assert fresh.content in generate(fresh).out
    assert not faults.unsound(fresh)
    assert faults.stamps(fresh, kept) == before


@pytest.fixture
def mounted(site, tmp_path):
    """A small file system that only the forks see."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    probe = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let users mount in a namespace of their own")
    place = tmp_path / "disk"
    place.mkdir()
    with Forks(tmp_path, prefix=OWN_MOUNTS) as forks:
        yield Disk(forks, place)


class Disk:
    def __init__(self, forks: Forks, place: Path) -> None:
        self.forks, self.out, self._place = forks, place / "out.zarr", place

    def mount(self, options: str) -> None:
        self.forks.shell(f"mount -t tmpfs -o {options} none {self._place}")

    def remount(self, options: str) -> None:
        self.forks.shell(f"mount -o remount,{options} {self._place}")

    def generate(self, site):
        return self.forks.run("generate", site.recipe, "--size", "tiny", "--out", self.out)

    def verify(self, *options):
        return self.forks.run("verify", self.out, *options)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_full_disk(site, mounted, share):
    pages = sum(-(-path.stat().st_size // 4096) for path in site.reference.rglob("*") if path.is_file())
    mounted.mount(f"size={int(share * pages) * 4096}")
    run = mounted.generate(site)
    assert run.code == 1
    assert "No space left on device" in run.err
    if share < 0.1:
        assert "The dataset cannot be created." in run.err
    else:
        assert "the others are kept. Retry:" in run.err
        failed = re.findall(r"\d+", re.search(r"^shard ([\d, ]+) failed", run.err, re.M)[1])
        assert re.findall(r"^shard (\d+): missing", mounted.verify().out, re.M) == failed
    mounted.remount("size=64m")
    run = mounted.generate(site)
    assert run.code == 0
    assert site.content in run.out
    if share >= 0.1:
        assert " 0 kept" not in run.out
    assert mounted.verify().code == 0


def test_a_disk_that_is_full_in_the_middle_of_a_repair(site, mounted):
    mounted.mount("size=64m")
    assert mounted.generate(site).code == 0
    mounted.forks.shell(f"rm -r {mounted.out}/channel/c/0 && truncate -s 40 {mounted.out}/los/c/3")
    mounted.forks.shell(f"dd if=/dev/zero of={mounted.out.parent}/other bs=4k 2>/dev/null || true")
    run = mounted.verify("--repair")
    assert run.code == 1
    assert "No space left on device" in run.err
    mounted.forks.shell(f"rm {mounted.out.parent}/other")
    run = mounted.verify("--repair")
    assert run.code == 0, run
    assert site.content in run.out


def test_a_read_only_place(site, mounted):
    mounted.mount("size=64m")
    assert mounted.generate(site).code == 0
    mounted.forks.shell(f"rm {mounted.out}/.wbench/shard-000002.json")
    mounted.remount("ro")
    for run in (mounted.generate(site), mounted.verify("--repair")):
        assert run.code == 1
        assert "Read-only file system" in run.err
        assert "The dataset cannot be written." in run.err
    assert "shard 2: missing" in mounted.verify().out
    mounted.remount("rw")
    assert site.content in mounted.generate(site).out
    mounted.remount("ro")
    assert mounted.verify().code == 0  # looking needs no right to write
