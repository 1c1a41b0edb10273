"""Task instances as data: what is refused, and what the digest depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers_lab import Lab
from wbench.errors import SpecError, UnknownNameError
from wbench.task.base import family_class
from wbench.task.spec import Limit, TaskSpec, load_spec, load_suite

PARTS = ("train", "val", "test")


@pytest.mark.parametrize(
    ("of", "changes", "message"),
    [
        ("los", {"surprise": 1}, "surprise: unknown field"),
        ("los", {"kind": "guess"}, "kind"),
        ("los", {"primary": "auroc", "metrics": ["f1_macro"]}, "not among the metrics"),
        ("los", {"views": {"train": {"recipe": "a", "side": "train"}}}, "needs train, val and test"),
        ("los", {"views": {part: {"recipe": "a", "side": "train"} for part in PARTS}}, "same side of the same dataset"),
        ("los", {"split": {"rule": "S2", "fractions": {"train": 0.5, "val": 0.2, "test": 0.2}}}, "add up to 1"),
        ("los", {"split": {"rule": "S2", "fractions": {"train": 1.1, "val": -0.2, "test": 0.1}}}, "must be positive"),
        ("los", {"split": {"rule": "S9"}}, "split.rule"),
        ("los", {"noise": {"snr_db": []}}, "snr_db"),
        ("los", {"limit": {"bits": 8}}, "goes with kind 'compress'"),
        ("ratio", {"limit": {"bits": 8, "reals": 2}}, "either reals or bits"),
        ("ratio", {"limit": {"bits": 0}}, "limit.bits"),
        ("los", {"budgets": [0]}, "percentage"),
        ("los", {"ranked_slice": {"snr_db": [1, 0]}}, "low, high"),
        ("los", {"version": 0}, "version"),
    ],
)
def test_wrong_instances(lab: Lab, tmp_path: Path, of: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_spec(lab.toml(of, tmp_path, **changes))


def test_files_and_names(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    for path in (tmp_path / "broken.toml", tmp_path / "absent.toml"):
        with pytest.raises(SpecError, match="cannot be read"):
            load_spec(path)
    with pytest.raises(UnknownNameError, match="los-nlos-umi"):
        load_spec("los-nlos")
    with pytest.raises(UnknownNameError, match=r"2026\.1"):
        load_suite("2027")


def test_families_check_their_own_parameters(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="beems: unknown field"):
        family_class(load_spec(lab.toml("beam", tmp_path, params={"beems": 3})))
    with pytest.raises(SpecError, match="outside the array"):
        family_class(load_spec(lab.toml("beam", tmp_path, params={"elements": 8, "first": 6, "observed": 4})))
    with pytest.raises(UnknownNameError, match="los-nlos"):
        family_class(load_spec(lab.toml("los", tmp_path, family="los-nloss")))


def test_the_digest_hangs_on_what_can_move_a_number(lab: Lab, tmp_path: Path) -> None:
    spec = load_spec(lab.toml("los"))
    assert load_spec(lab.toml("los", tmp_path, summary="other words")).digest == spec.digest
    for changes in ({"version": 2}, {"noise": {"snr_db": [0, 5]}}, {"metrics": ["f1_macro"]}, {"trivial": ["a/b"]}):
        assert load_spec(lab.toml("los", tmp_path, **changes)).digest != spec.digest
    assert TaskSpec.model_validate(spec.model_dump()).digest == spec.digest
    with pytest.raises(ValidationError):
        spec.version = 3  # type: ignore[misc]


def test_limits_in_bits() -> None:
    assert Limit(reals=128).max_bits == 4096
    assert Limit(bits=96).max_bits == 96
