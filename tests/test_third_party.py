"""The tutorial's package: installed by pip beside wbench, picked up by every command, shown on the page as it is."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers_data import ROOT, environment
from tools.tutorial import PACKAGE, PAGE, filled, shown

#: Several command lines in one process: an interpreter with wbench takes seconds to start.
LINES = """
import contextlib, io, json, sys
from wbench.cli.main import main

done = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as leaving:
            code = leaving.code
    done.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as ``pip install`` leaves it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("third-party")
    source = shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", folder / "site", source]
    # `make` names the pins by a path that is relative to the checkout.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def run(site: Path, folder: Path, *lines: str) -> list[tuple[str, str]]:
    """Output of command lines; each must end with 0."""
    words = json.dumps([line.split() for line in lines])
    env = {**environment(site), "WBENCH_DATA": str(folder / "data")}
    done = subprocess.run(
        [sys.executable, "-c", LINES, words], capture_output=True, text=True, cwd=folder, env=env, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for line, (code, out, err) in zip(lines, found, strict=True):
        assert code == 0, f"wbench {line}\n{out}\n{err}"
    return [(out, err) for _, out, err in found]


@pytest.mark.slow
def test_every_command_works_through_it(site: Path, tmp_path: Path) -> None:
    tasks, recipes, task, recipe, model, generated, evaluated, scored = run(
        site,
        tmp_path,
        "list tasks --format csv",
        "list recipes --format csv",
        "check acme-reflection --format csv",
        "check acme-hall --format csv",
        "check acme/ripple --task acme-reflection --format csv",
        "generate acme-hall --size tiny",
        "evaluate --model acme/always --model acme/ripple --task acme-reflection --size tiny --format csv",
        "list models --format csv",
    )
    (listed,) = [row for row in csv.DictReader(tasks[0].splitlines()) if row["task"] == "acme-reflection"]
    assert (listed["datasets"], listed["split"], listed["metric"]) == ("acme-hall", "S2", "f1_macro")
    assert "warning" not in tasks[1]
    assert "acme-hall,acme-two-ray,200," in recipes[0]
    assert "acme/ripple,acme-reflection" in scored[0]
    for out, _ in (task, recipe, model):
        assert ",ok," in out
        assert "failed" not in out
    assert 'split,"S2, unit site"' in task[0]
    assert "200 samples" in generated[0]
    best, worst = csv.DictReader(evaluated[0].splitlines())
    assert (best["model"], worst["model"]) == ("acme/ripple", "acme/always")
    assert float(best["f1_macro"].split()[0]) > float(worst["f1_macro"].split()[0]) + 0.2


@pytest.mark.slow
def test_its_own_suites_pass(site: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests"]
    source = site.parent / "source"
    done = subprocess.run(command, capture_output=True, text=True, cwd=source, env=environment(site), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 passed, 2 skipped" in done.stdout  # the two models are no codecs


def test_the_page_shows_the_files_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, PACKAGE) == page, "run: python tools/tutorial.py"
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    names = {p.relative_to(PACKAGE).as_posix() for p in files} - {"acme_hall/__init__.py"}
    assert sorted(shown(page)) == sorted(names)
    assert PAGE.name in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_the_page_would_show_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    page = 'text\n```python title="a.py"\nx = 0\n```\nmore\n```sh\nls\n```\n'
    assert filled(page, tmp_path) == page.replace("x = 0", "x = 1")
    assert shown(page) == ["a.py"]
