"""COST 2100 and Octave as programs of the user: absent, modified, failing, killed, hanging."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import loadmat, savemat

from tests.helpers_cost2100 import needs_cost2100
from wbench.errors import MissingDependencyError, SimulationError, UsageError
from wbench_generators import external
from wbench_generators.cost2100 import Cost2100, CostParams, installed
from wbench_generators.cost2100.octave_run import DRIVER, call_octave
from wbench_generators.setup_command import setup

INDOOR = CostParams.model_validate({"network": "IndoorHall_5GHz", "carrier_hz": 5.3e9, "square_m": 20.0})


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something that looks like a checkout of COST 2100."""
    folder = tmp_path / "it's a copy" / "matlab"
    folder.mkdir(parents=True)
    for name in installed.FUNCTIONS:
        (folder / f"{name}.m").write_text(f"function {name}\n  x = 1;\n")
    monkeypatch.setenv(installed.VARIABLE, str(folder.parent))
    return folder


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An ``octave-cli`` of one's own: a shell script; the answer's path is $answer, attempts are lines of $count."""
    folder = tmp_path / "bin"
    folder.mkdir()
    count = tmp_path / "count"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(script: str) -> Path:
        program = folder / "octave-cli"
        head = f"for last; do :; done\nanswer=${{last##*, \\'}}\nanswer=${{answer%%\\'*}}\necho x >> '{count}'\n"
        program.write_text(f"#!/bin/sh\n{head}{script}\n")
        program.chmod(0o755)
        return count

    return install


def attempts(count: Path) -> int:
    return len(count.read_text().splitlines())


def test_without_octave_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    with pytest.raises(MissingDependencyError, match="apt-get install octave") as caught, Cost2100().open(INDOOR):
        pass
    assert caught.value.exit_code == 3
    assert installed.state()["octave"] == ""


def test_without_a_copy_the_error_says_where_it_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installed, "octave", lambda: "octave-cli")
    for variable, value in ((installed.VARIABLE, str(tmp_path)), (installed.VARIABLE, "")):
        monkeypatch.setenv(variable, value)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(MissingDependencyError, match="wbench setup cost2100") as caught, Cost2100().open(INDOOR):
            pass
        assert str(tmp_path) in str(caught.value)
        assert installed.VARIABLE in str(caught.value)
        assert installed.state()["copy"] == "missing"
        assert installed.probe()[0]["state"] == "missing"


def test_setup_brings_a_copy(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (copy / "GPL.txt").write_text("Free software.\n")
    digest = external.tree_digest(copy, (".m",))
    monkeypatch.setattr(installed, "COST2100", dataclasses.replace(installed.COST2100, digest=digest))
    monkeypatch.setattr(external, "data_folder", lambda: tmp_path / "home")
    monkeypatch.delenv(installed.VARIABLE)
    refused = CliRunner().invoke(setup, ["cost2100", "--from", str(copy.parent)])
    assert isinstance(refused.exception, UsageError)
    assert "General Public License" in str(refused.exception)
    done = CliRunner().invoke(setup, ["cost2100", "--from", str(copy.parent), "--accept-licence"])
    assert done.exit_code == 0, done.exception
    assert installed.locate() == tmp_path / "home" / "cost2100" / "matlab"
    assert external.record(tmp_path / "home" / "cost2100" / "matlab")["digest"] == digest


def test_incomplete_copy_names_the_file(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    (copy / "get_mpc.m").unlink()
    with pytest.raises(MissingDependencyError, match=r"get_mpc\.m"):
        installed.require_copy()
    assert installed.state()["copy"].startswith("incomplete")
    assert installed.probe()[0]["install"] == "wbench setup cost2100"


def test_modified_copy_is_refused_unless_the_recipe_names_it(copy: Path) -> None:
    digest = installed.copy_digest(copy)
    with pytest.raises(MissingDependencyError, match=f'copy_digest = "{digest}"') as caught:
        installed.require_copy()
    assert INDOOR.copy_digest in str(caught.value)
    assert installed.require_copy(digest) == copy
    (copy / "get_mpc.m").write_text("function get_mpc\n  x = 2;\n")
    with pytest.raises(MissingDependencyError, match="modified"):
        installed.require_copy(digest)


def test_line_ends_do_not_modify_a_copy(copy: Path) -> None:
    before = installed.copy_digest(copy)
    for path in copy.glob("*.m"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert installed.copy_digest(copy) == before


def test_folder_of_the_functions_themselves_is_found(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed.locate() == copy
    monkeypatch.setenv(installed.VARIABLE, str(copy))
    assert installed.locate() == copy


def test_error_in_octave_is_reported_and_not_repeated(fake, copy: Path) -> None:
    count = fake("echo \"error: get_cluster: out of bound\" >&2; echo 'error: called from' >&2; exit 1")
    with pytest.raises(SimulationError, match="get_cluster: out of bound") as caught:
        call_octave("wb_run", {"x": 1.0}, copy)
    assert attempts(count) == 1
    assert "generate again" in str(caught.value)


def test_killed_octave_is_started_once_more(fake, copy: Path, tmp_path: Path) -> None:
    savemat(tmp_path / "made.mat", {"rays": np.eye(2)})
    marker = tmp_path / "marker"
    count = fake(f"if [ ! -e '{marker}' ]; then touch '{marker}'; kill -9 $$; fi; cp '{tmp_path}/made.mat' \"$answer\"")
    assert np.array_equal(call_octave("wb_run", {"x": 1.0}, copy)["rays"], np.eye(2))
    assert attempts(count) == 2
    count.unlink()
    count = fake("kill -9 $$")
    with pytest.raises(SimulationError, match="SIGKILL"):
        call_octave("wb_run", {"x": 1.0}, copy)
    assert attempts(count) == 2


def test_hanging_octave_is_ended(fake, copy: Path) -> None:
    fake("exec sleep 60")
    with pytest.raises(SimulationError, match=r"within 0\.3 s"):
        call_octave("wb_run", {"x": 1.0}, copy, timeout_s=0.3)


@pytest.mark.parametrize("script", ["exit 0", 'echo rubbish > "$answer"'])
def test_missing_or_damaged_answer_is_an_error(fake, copy: Path, script: str) -> None:
    fake(script)
    with pytest.raises(SimulationError, match="no readable answer"):
        call_octave("wb_run", {"x": 1.0}, copy)


def test_nothing_of_cost2100_is_in_the_package() -> None:
    ours = {path.stem for path in DRIVER.iterdir()}
    assert ours == {"wb_run", "wb_environment", "cart2sph", "pow2db", "toc"}
    assert not ours & set(installed.FUNCTIONS)


@needs_cost2100
def test_known_copy_and_octave_are_named() -> None:
    found = installed.state()
    assert found["copy"] == f"version 3.1 ({INDOOR.copy_digest})"
    assert "Octave" in found["octave"]
    assert installed.probe()[0]["install"] == ""


@needs_cost2100
def test_octave_stops_where_no_user_can_see_a_cluster() -> None:
    """A real error in the middle of a real run: users far outside of the hall."""
    place = installed.require_copy()
    request = {
        "network": "IndoorHall_5GHz", "scenario": "LOS", "band": np.array([[5.29e9, 5.31e9]]), "bs": np.zeros((1, 3)),
        "users": np.full((2, 2, 16, 1), 500.0), "seeds": np.arange(24.0).reshape(8, 3, 1),
    }  # fmt: skip
    with pytest.raises(SimulationError, match="no candidate position sees a cluster"):
        call_octave("wb_run", request, place)


@needs_cost2100
def test_cart2sph_has_the_bits_of_octaves_own(tmp_path: Path) -> None:
    """Ours leaves out checks only; Octave's own is what stays when our folder is not on the path."""
    import subprocess

    out = tmp_path / "out.mat"
    code = (
        "x = randn(200, 3); [a, b, c] = cart2sph(x(:,1), x(:,2), x(:,3)); "
        f"warning('off', 'all'); addpath('{DRIVER}'); [d, e, f] = cart2sph(x(:,1), x(:,2), x(:,3)); "
        f"ours = which('cart2sph'); save('-v7', '{out}', 'a', 'b', 'c', 'd', 'e', 'f', 'ours');"
    )
    subprocess.run([installed.octave(), "--quiet", "--no-gui", "--eval", code], check=True, timeout=60)
    found = loadmat(out)
    assert str(DRIVER) in str(found["ours"])
    for own, fast in zip("abc", "def", strict=True):
        assert np.array_equal(found[own], found[fast])
