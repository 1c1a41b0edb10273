"""Every instance on data of QuaDRiGa and COST 2100: audited and scored on the real ``tiny`` datasets, where they are.

Neither simulator may come with wbench, so on most machines all skip with the reason, and stand-ins of these datasets
(test_instances.py) are what is left. Where there are Octave and both copies: about a minute and a half of one core.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers_cost2100 import live
from tests.helpers_instances import decode_here, on, score_on_tiny
from tests.helpers_quadriga import need_quadriga
from wbench.task.spec import load_spec


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("octave")


@pytest.fixture(scope="module")
def quadriga() -> None:
    need_quadriga()


@pytest.mark.slow
@pytest.mark.usefixtures("quadriga")
@pytest.mark.parametrize("name", on("quadriga"))
def test_instance_on_quadriga(data: Path, name: str) -> None:
    values = score_on_tiny(name, data)
    assert set(load_spec(name).trivial) < set(values)


@pytest.mark.slow
@pytest.mark.skipif(not live(), reason="needs GNU Octave and a copy of COST 2100: wbench setup cost2100")
@pytest.mark.parametrize("name", on("cost2100"))
def test_instance_on_cost2100(data: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decode_here(monkeypatch)
    values = score_on_tiny(name, data)
    assert set(values) == {"wbench/zeros-codec", "wbench/klt"}
    assert values["wbench/klt"] < 0
