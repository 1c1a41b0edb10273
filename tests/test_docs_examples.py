"""What the documentation tells people to type: its commands parse, its names exist, its Python runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from tests.helpers_data import ROOT
from tests.helpers_lab import Lab
from tools import datasheets
from wbench import registry
from wbench.cli.main import _cli

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Option → the kind of name that it takes.
NAMED = {"--task": "task", "--model": "model", "--suite": "suite"}
#: Names that pages make up for the reader's own plug-ins.
OWN = re.compile(r"^(\./|acme|my[-_/]|me/|[A-Z]+$|…|.*[./](py|toml)\b|\$|hf\b)")


def commands(page: Path) -> Iterator[str]:
    """Lines of a page's blocks that start with ``wbench``, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        found = re.match(r"^(?: {4,}|)(?:\$ )?(wbench [a-z].*)$", line)
        if found and (line.startswith("    ") or line.startswith("$")):
            yield found[1]


CASES = [pytest.param(line, id=f"{page.stem}: {line[:70]}") for page in PAGES for line in dict.fromkeys(commands(page))]


def parsed(line: str) -> tuple[click.Command, list[str]]:
    """The command that a line names, and its remaining words without comments."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = _cli
    context = click.Context(_cli)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command = found
    return command, words


@pytest.mark.parametrize("line", CASES)
def test_commands_parse_and_their_names_exist(line: str) -> None:
    command, words = parsed(line)
    options = {flag: option for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    arguments = 0
    known = registry.registry()
    while words:
        word = words.pop(0)
        if word == "…":
            continue
        if not word.startswith("-"):
            arguments += 1
            if command.name == "generate" and not OWN.match(word):
                assert word in known.entries["recipe"], word
            continue
        flag, _, value = word.partition("=")
        assert flag in options, f"{command.name} has no option {flag}"
        if getattr(options[flag], "is_flag", False) or flag in ("--help", "-h"):
            continue
        value = value or (words.pop(0) if words else "")
        if flag in NAMED and value and not OWN.match(value):
            assert value in known.entries[NAMED[flag]], f"{flag} {value}"
        if isinstance(options[flag].type, click.Choice):
            assert value in options[flag].type.choices or OWN.match(value), f"{flag} {value}"
    most = sum(9 if one.nargs == -1 else one.nargs for one in command.params if isinstance(one, click.Argument))
    assert arguments <= most, f"{command.name} takes {most} arguments"


def test_the_pages_have_commands() -> None:
    assert len(CASES) > 60


def python_blocks(page: Path) -> list[str]:
    """Blocks marked plain ``python``; those with a title belong to a package that has tests of its own."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_compiles(page: Path) -> None:
    for block in python_blocks(page):
        compile(block, str(page), "exec")


def run_on_small_data(page: str, lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a page's blocks that name ``snap-umi-standard``, in its folder, with a small dataset of that name."""
    (folder / "data").mkdir()
    (folder / "data/snap-umi-standard.zarr").symlink_to(next(lab.data.glob("lab-snap-*.zarr")))
    monkeypatch.chdir(folder)
    for block in python_blocks(ROOT / "docs" / page):
        if "range(10)" in block:
            block = block.replace("range(10)", "range(2)")
        if "num_workers=2" in block:  # a script of its own would start processes; here the loader reads itself
            block = block.replace(
                'num_workers=2, multiprocessing_context="spawn", persistent_workers=True', "num_workers=0"
            )
        exec(compile(block, page, "exec"), {"ids": np.arange(300)})


def test_the_loading_page_runs(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_on_small_data("loading.md", lab, tmp_path, monkeypatch)


def test_the_readme_s_model_runs(lab: Lab, tmp_path: Path) -> None:
    from wbench import evaluate, load_model

    file = tmp_path / "my_model.py"
    file.write_text(python_blocks(ROOT / "README.md")[0], encoding="utf-8")
    model = f"{file}:MyModel"
    assert load_model(model).info.name == "me/angular-delay"
    found = evaluate([model], [str(lab.toml("los"))], size="tiny", data=lab.data, out=tmp_path / "results")
    assert len(found.results) == 1


def test_the_datasheets_are_those_of_the_recipes() -> None:
    page = datasheets.PAGE.read_text(encoding="utf-8")
    assert page == datasheets.filled(page), "python tools/datasheets.py"
