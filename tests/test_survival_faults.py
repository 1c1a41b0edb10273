"""Random faults in a row on a fast dataset: what is damaged is named, and everything ends in the undisturbed bits.

The long version is a command: ``python -m tests.helpers_faults --faults 200``.
"""

from __future__ import annotations

import os

import pytest

from tests import helpers_faults as faults
from tests.helpers_forks import Forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_thirty_random_faults_in_a_row(tmp_path):
    with Forks(tmp_path) as forks:
        site = faults.prepare(tmp_path, forks, faults.survival_recipe(tmp_path, shards=8), seed=2026)
        counts = faults.run_faults(site, 30)
    assert counts["killed in time"] >= 2
    assert counts["unsound shards"] > 30
    assert min(counts["by generate"], counts["by repair"]) >= 2
    assert all(counts[fault.__name__] for fault in faults.FAULTS)


def test_the_oracle_sees_every_bit(tmp_path):
    """Of every file of a shard, any flipped bit counts; the undisturbed copy is sound."""
    with Forks(tmp_path) as forks:
        site = faults.prepare(tmp_path, forks, faults.survival_recipe(tmp_path, shards=3), seed=1)
    assert site.shards == 3
    assert not faults.unsound(site)
    for path in site.files(1):
        before = path.read_bytes()
        faults.flip(site, path)
        assert faults.unsound(site) == {1}
        path.write_bytes(before)
    site.entry(2).unlink()
    assert faults.unsound(site) == {2}
