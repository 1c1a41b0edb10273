"""LLVM for Sionna RT: a missing or too old library is an error that says what to install, never an abort."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers_data import environment
from wbench import registry
from wbench.errors import MissingDependencyError
from wbench_generators.sionna_rt import llvm


@pytest.fixture(autouse=True)
def _forget():
    llvm.require_llvm.cache_clear()
    yield
    llvm.require_llvm.cache_clear()


def test_old_library_is_refused_with_the_command_and_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(llvm.VARIABLE, raising=False)
    monkeypatch.setattr(llvm, "libraries", lambda: [Path("/opt/llvm/libLLVM-18.so")])
    monkeypatch.setattr(llvm, "try_library", lambda path: f"ended by signal 6: LLVM ERROR: Cannot select {path}")
    with pytest.raises(MissingDependencyError) as caught:
        llvm.require_llvm()
    text = str(caught.value)
    assert caught.value.exit_code == 3
    for part in ("apt-get install libllvm19", llvm.VARIABLE, "signal 6", "/opt/llvm/libLLVM-18.so"):
        assert part in text


def test_first_library_that_works_is_named_to_drjit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str | None] = []

    def trial(path: str | None) -> str:
        tried.append(path)
        return "" if path == "/b/libLLVM-19.so" else "too old"

    monkeypatch.setenv(llvm.VARIABLE, "")
    monkeypatch.setattr(llvm, "libraries", lambda: [Path("/a/libLLVM-20.so"), Path("/b/libLLVM-19.so")])
    monkeypatch.setattr(llvm, "try_library", trial)
    assert llvm.require_llvm() == llvm.require_llvm() == "/b/libLLVM-19.so"
    assert tried == [None, "/a/libLLVM-20.so", "/b/libLLVM-19.so"]
    assert llvm.os.environ[llvm.VARIABLE] == "/b/libLLVM-19.so"


def test_users_own_choice_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(llvm.VARIABLE, "/mine/libLLVM.so")
    monkeypatch.setattr(llvm, "try_library", lambda path: "exit code 1: not found")
    with pytest.raises(MissingDependencyError, match=r"/mine/libLLVM\.so") as caught:
        llvm.require_llvm()
    assert "usual places" not in str(caught.value)


def test_missing_drjit_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(llvm.VARIABLE, raising=False)
    monkeypatch.setattr(llvm, "KERNEL", "import drjit_that_nobody_has")
    with pytest.raises(MissingDependencyError, match=r"wbench\[rt\]"):
        llvm.require_llvm()


def test_process_that_aborts_is_not_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        llvm, "KERNEL", "import os, sys; sys.stderr.write('LLVM ERROR: Cannot select'); sys.stderr.flush(); os.abort()"
    )
    assert llvm.try_library(None).startswith("ended by signal 6: LLVM ERROR")


def test_real_libraries_newest_first_and_none_too_old() -> None:
    pytest.importorskip("drjit")
    for path in llvm.libraries():
        assert "LLVM-14" not in path.name
        assert "LLVM-15" not in path.name


def test_real_old_library_ends_the_other_process_only() -> None:
    pytest.importorskip("drjit")
    old = [path for path in Path("/usr/lib").glob("*-linux-gnu/libLLVM-1[45].so.1")]
    if not old:
        pytest.skip("no old LLVM on this machine")
    assert llvm.try_library(str(old[0]))


def test_package_imports_no_simulator() -> None:
    code = (
        "import sys; from wbench_generators.sionna_rt import SionnaRt, RtParams; SionnaRt().provenance();"
        "print([m for m in ('sionna', 'mitsuba', 'drjit', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_registry_names_the_extra_where_sionna_rt_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_installed", lambda package: package not in ("sionna.rt", "mitsuba"))
    with pytest.raises(MissingDependencyError, match=r"pip install 'wbench\[rt\]'"):
        registry.load("generator", "sionna-rt")
    assert registry.load("generator", "sionna-rt", ready=False).__name__ == "SionnaRt"


def test_doctor_row_says_what_works_or_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(llvm.VARIABLE, "/b/libLLVM-19.so")
    monkeypatch.setattr(llvm, "try_library", lambda path: "")
    row = llvm.probe()[0]
    assert (row["state"], row["install"]) == ("/b/libLLVM-19.so", "")
    llvm.require_llvm.cache_clear()
    monkeypatch.setattr(llvm, "try_library", lambda path: "too old")
    row = llvm.probe()[0]
    assert "too old" in row["state"]
    assert "libllvm19" in row["install"]
    monkeypatch.setattr(llvm.importlib.util, "find_spec", lambda name: None)
    assert llvm.probe()[0]["install"] == "pip install 'wbench[rt]'"
