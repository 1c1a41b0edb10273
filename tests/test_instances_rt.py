"""Every instance on ray-traced data: audited and scored on the real ``tiny`` datasets, which are traced here.

About a minute of one core with Sionna RT's kernels compiled before; without Sionna RT or LLVM all skip with the reason,
and stand-ins of these datasets (test_instances.py) are what is left.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers_instances import on, score_on_tiny
from tests.helpers_rt import need_sionna_rt
from wbench.task.spec import load_spec

#: Four training samples per beam are more than there are in ``tiny``: only what is not fitted serves these instances.
MANY_BEAMS = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_sionna_rt()
    return tmp_path_factory.mktemp("traced")


@pytest.mark.slow
@pytest.mark.parametrize("name", on("sionna-rt"))
def test_instance_on_real_tiny_data(data: Path, name: str) -> None:
    values = score_on_tiny(name, data)
    spec = load_spec(name)
    if spec.family == "beam-crossband" and spec.params["beams"] >= MANY_BEAMS:
        assert set(values) == {"wbench/angle-map"}
        return
    assert set(spec.trivial) <= set(values)
    assert set(values) - set(spec.trivial)
