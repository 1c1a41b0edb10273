"""Fixtures that several test files share."""

from __future__ import annotations

import signal

import pytest

from tests.helpers_lab import Lab, build_lab

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs with the interrupt ignored, and every child inherits that: the tests of Ctrl-C
    # would send a signal that nobody hears.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def built_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Small datasets and tasks of every family, made once."""
    return build_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def lab(built_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same, as the data folder of this test."""
    monkeypatch.setenv("WBENCH_DATA", str(built_lab.data))
    return built_lab
