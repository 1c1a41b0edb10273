"""Where QuaDRiGa comes from and what is said where it, or Octave, is not there. Nothing here needs either."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers_quadriga import quadriga_params
from wbench.errors import MissingDependencyError, OutputConflictError, SimulationError, SpecError, UsageError
from wbench_generators import external
from wbench_generators.quadriga import Quadriga, bridge, installed
from wbench_generators.setup_command import setup

NAMES = {"quadriga_src/@qd_builder/qd_builder.m": "classdef qd_builder\nend\n", "quadriga_src/config/A.conf": "A = 1\n"}


def git(place: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", "-C", str(place), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository in the shape of QuaDRiGa's, with a large file that nobody needs."""
    root = tmp_path / "upstream"
    for name, text in {**NAMES, "QuaDRiGa_License.txt": "Free of charge.\n", "manual.pdf": "large"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    git(root, "init", "--quiet")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "v2.8.1")
    return root


@pytest.fixture
def program(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> external.Program:
    """QuaDRiGa as that repository has it, in a home of its own."""
    digest = external.tree_digest(upstream / "quadriga_src", installed.QUADRIGA.suffixes)
    made = dataclasses.replace(
        installed.QUADRIGA, source=str(upstream), digest=digest, commit=git(upstream, "rev-parse", "HEAD")
    )
    monkeypatch.setattr(installed, "QUADRIGA", made)
    monkeypatch.setattr(external, "data_folder", lambda: tmp_path / "home")
    monkeypatch.delenv(made.variable, raising=False)
    return made


def run(*arguments: str):
    return CliRunner().invoke(setup, arguments, catch_exceptions=True)


def test_setup_clones_what_is_needed_and_records_the_commit(program: external.Program, upstream: Path) -> None:
    (upstream / "later.txt").write_text("x", encoding="utf-8")
    git(upstream, "add", "-A")
    git(upstream, "commit", "--quiet", "-m", "later")  # the tested commit is taken, not the newest
    result = run("quadriga", "--accept-licence")
    assert result.exit_code == 0, result.exception
    assert program.commit in result.output
    place = installed.locate()
    assert place is not None
    assert sorted(path.name for path in place.parent.iterdir()) == [
        "QuaDRiGa_License.txt", "quadriga_src", external.RECORD,
    ]  # fmt: skip
    assert external.record(place) == {
        "source": str(upstream), "commit": program.commit, "digest": program.digest, "licence": program.licence,
    }  # fmt: skip
    assert installed.require_copy(program.digest) == place
    assert installed.probe()[0]["state"] == f"2.8.1 (commit {program.commit[:7]})"
    assert run("quadriga", "--from", str(upstream), "--accept-licence").exit_code == 0  # again: replaced


def test_a_plain_folder_and_converted_line_ends_will_do(program: external.Program, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    for name, text in {**NAMES, "QuaDRiGa_License.txt": "Free of charge.\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.replace("\n", "\r\n").encode())
    place = external.install(program, str(folder), accepted=True)
    assert external.record(place)["commit"] == ""
    assert installed.probe()[0]["state"] == "2.8.1"


def test_without_consent_nothing_is_brought(program: external.Program) -> None:
    result = run("quadriga")  # no terminal: it does not ask
    assert isinstance(result.exception, UsageError)
    assert "non-commercial" in str(result.exception)
    assert "--accept-licence" in str(result.exception)
    assert installed.locate() is None


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks(program: external.Program, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("wbench_generators.setup_command._asks", lambda: True)
    result = CliRunner().invoke(setup, ["quadriga"], input=f"{answer}\n")
    assert "Do you accept it?" in result.output
    assert (installed.locate() is not None) == (answer == "y")
    assert (result.exception is None) == (answer == "y")


def test_a_modified_copy_is_refused_and_the_old_one_stays(program: external.Program, upstream: Path) -> None:
    place = external.install(program, accepted=True)
    (upstream / "quadriga_src" / "config" / "A.conf").write_text("A = 2\n", encoding="utf-8")
    git(upstream, "commit", "--quiet", "-am", "changed")
    other = dataclasses.replace(program, commit="0" * 40)
    with pytest.raises(SpecError, match="modified, or of another version"):
        external.install(other, accepted=True)
    assert (place / "quadriga_src" / "config" / "A.conf").read_text(encoding="utf-8") == "A = 1\n"


@pytest.mark.parametrize(("source", "what"), [("nowhere", "git cannot get"), ("empty", "This is not quadriga")])
def test_a_source_that_is_none(program: external.Program, tmp_path: Path, source: str, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=what):
        external.install(program, str(tmp_path / source), accepted=True)


def test_the_variable_comes_first(program: external.Program, upstream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(program.variable, str(upstream))
    assert installed.require_copy(program.digest) == upstream / "quadriga_src"
    assert external.record(upstream / "quadriga_src") == {"commit": program.commit}
    with pytest.raises(OutputConflictError, match="WBENCH_QUADRIGA names a copy already"):
        external.install(program, accepted=True)


def test_a_wrong_version_is_refused_unless_a_recipe_accepts_it(
    program: external.Program, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(program.variable, str(upstream))
    with pytest.raises(SpecError, match="modified, or of another version") as caught:
        installed.require_copy("sha256:0")
    assert f'copy_digest = "{program.digest}"' in str(caught.value)
    assert installed.require_copy(program.digest).is_dir()


def test_no_quadriga(program: external.Program) -> None:
    with (
        pytest.raises(MissingDependencyError, match="wbench setup quadriga") as caught,
        Quadriga().open(quadriga_params()),
    ):
        pass
    assert caught.value.exit_code == 3
    assert installed.probe() == [
        {"what": "QuaDRiGa", "state": "missing", "for": "generator quadriga", "install": "wbench setup quadriga"}
    ]


def test_no_octave(program: external.Program, upstream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(program.variable, str(upstream))
    monkeypatch.setattr(external.shutil, "which", lambda name: None)
    with (
        pytest.raises(MissingDependencyError, match="apt-get install octave"),
        Quadriga().open(quadriga_params(copy_digest=program.digest)),
    ):
        pass


def test_no_oct2py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "octave", lambda: "octave-cli")
    monkeypatch.setitem(sys.modules, "oct2py", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wbench\[quadriga\]'"):
        bridge.Octave(tmp_path).call("version", {})


class Dying:
    """Stands for oct2py: ends in every call, or in the first."""

    def __init__(self, message: str, times: int) -> None:
        self.message, self.times, self.ended = message, times, 0

    def feval(self, *args: object, **options: object) -> dict[str, float]:
        self.times -= 1
        if self.times >= 0:
            raise RuntimeError(self.message)
        return {"x": 1.0}

    def addpath(self, folder: str) -> None: ...

    def exit(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(
    ("message", "times", "expected"),
    [
        ("End of file", 0, None),
        ("End of file", 1, None),
        ("End of file", 2, "Octave ended twice"),
        ("Octave evaluation error:\nerror: no such thing", 1, "QuaDRiGa failed in Octave"),
    ],
)
def test_what_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, times: int, expected: str | None
) -> None:
    session, starts = Dying(message, times), []
    monkeypatch.setattr(bridge, "octave", lambda: "octave-cli")
    monkeypatch.setattr(bridge, "_start", lambda program: starts.append(program) or session)
    octave = bridge.Octave(tmp_path)
    if expected is None:
        assert octave.call("f", {})["x"] == 1.0
        assert len(starts) == 1 + times
    else:
        with pytest.raises(SimulationError, match=expected):
            octave.call("f", {})
        assert len(starts) == times
    assert session.ended == times  # a session that failed is never used again
