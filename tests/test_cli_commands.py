"""The command line: bad input is one clear message and the right exit code; looking around imports nothing heavy."""

from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
import sys

import pytest

from tests.helpers_data import cli, command, environment, write_recipe
from wbench import generate
from wbench.cli.tables import show_table
from wbench.run import progress as progress_module
from wbench.run.progress import progress


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["generate", "snap-um", "--size", "tiny"], "snap-umi"),
        (["generate", "PLANE-WAVE", "--size", "tiny"], "plane-wave"),
        (["generate", "plane-wave", "--size", "tinny"], "tiny"),
        (["generate", "plane-wave", "--siz", "tiny"], "--size"),
        (["genrate"], "generate"),
        (["list", "recipe"], "recipes"),
    ],
)
def test_unknown_names_suggest_near_ones(arguments, near, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(capsys, *arguments)
    assert code == 2
    assert near in err
    assert out == ""
    assert not list(tmp_path.iterdir())  # nothing was begun


# what is changed in a good recipe: (old text, new text, what the message has to say)
WRONG = {
    "not toml": ('name = "small"', "name = ", "cannot be read"),
    "unknown field": ("[params]", "[more]\nx = 1\n[params]", "more: unknown field"),
    "missing field": ("seed = 11\n", "", "seed: Field required"),
    "wrong type": ("block = 8", "block = 'eight'", "block: Input should be a valid integer"),
    "zero block": ("block = 8", "block = 0", "block: Input should be greater than 0"),
    "unknown size": ("tiny = {", "teeny = {", "sizes.teeny"),
    "name with a path": ('name = "small"', 'name = "../small"', "name: String should match pattern"),
    "unknown parameter": ("paths = 4", "pahts = 4", "pahts: unknown field"),
    "impossible parameter": ("paths = 4", "paths = 0", "paths: Input should be greater than or equal to 1"),
    "not a number": ("paths = 4", "k_factor_db = nan", "k_factor_db: Input should be a finite number"),
    "nested": ("bs = {cols = 4}", "bs = {columns = 4}", "bs.columns: unknown field"),
    "unknown generator": ('"plane-wave"', '"plain-wave"', "did you mean plane-wave?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_recipe_file_names_the_field(case, tmp_path, capsys):
    old, new, message = WRONG[case]
    path = write_recipe(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    code, _, err = cli(capsys, "generate", path, "--size", "tiny", "--out", tmp_path / "x.zarr")
    assert code == 2
    assert message in err
    assert not (tmp_path / "x.zarr").exists()


def test_a_recipe_that_is_no_text_or_not_there(tmp_path, capsys):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    for name in ("bytes.toml", "folder.toml", "none.toml"):
        code, _, err = cli(capsys, "generate", tmp_path / name)
        assert code == 2
        assert "cannot be read" in err


@pytest.mark.parametrize("option", [["--workers", "0"], ["--seed", "-1"], ["--seed", "x"], ["--size"]])
def test_wrong_options(option, capsys, tmp_path):
    arguments = ["generate", "plane-wave", "--out", tmp_path / "x.zarr", *option]
    assert cli(capsys, *arguments)[0] == 2
    assert not (tmp_path / "x.zarr").exists()


def test_a_missing_simulator_is_exit_code_3_with_the_command(tmp_path):
    """As on a machine without Sionna, in a process of its own."""
    code = "import sys; sys.modules['sionna'] = None; from wbench.cli.main import main; main()"
    arguments = ["generate", "snap-umi", "--size", "tiny", "--out", tmp_path / "x.zarr"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=ENV)
    assert done.returncode == 3
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.zarr").exists()


def test_inspect(tmp_path, capsys):
    dataset = generate(write_recipe(tmp_path), size="tiny", out=tmp_path / "x.zarr").open()
    code, out, _ = cli(capsys, "inspect", dataset.path)
    assert code == 0
    assert "3 of 3 shards" in out
    rows = json.loads(cli(capsys, "inspect", dataset.path, "--format", "json")[1])
    channel = next(row for row in rows if row["array"] == "channel")
    assert channel["dims"] == "sample, time, rx, tx, subcarrier"
    assert channel["shape"] == "40 × 1 × 1 × 4 × 4"
    (dataset.path / ".wbench" / "shard-000001.json").unlink()
    assert "2 of 3 shards" in cli(capsys, "inspect", dataset.path)[1]
    assert cli(capsys, "inspect", tmp_path / "none.zarr")[0] == 3
    assert cli(capsys, "inspect", tmp_path)[0] == 1


def test_doctor_names_what_is_missing(capsys, monkeypatch):
    code, out, _ = cli(capsys, "doctor", "--format", "json")
    assert code == 0
    assert {"python", "sionna-no-rt", "git"} <= {row["what"] for row in json.loads(out)}
    monkeypatch.setitem(sys.modules, "zarr", None)
    code, out, _ = cli(capsys, "doctor", "--format", "json")
    assert code == 3
    zarr = next(row for row in json.loads(out) if row["what"] == "zarr")
    assert zarr["state"] == "missing"
    assert zarr["install"] == "pip install 'wbench'"


@pytest.mark.parametrize("what", ["generators", "recipes", "tasks", "models", "suites"])
def test_list_in_every_format(what, capsys):
    rows = json.loads(cli(capsys, "list", what, "--format", "json")[1])
    assert rows
    assert all("cannot" not in str(row.get("summary")) for row in rows)
    table = list(csv.DictReader(io.StringIO(cli(capsys, "list", what, "--format", "csv")[1])))
    assert [list(row) for row in table] == [list(row) for row in rows]
    for format_, start in (("md", "| "), ("latex", "\\begin{tabular}"), ("table", "")):
        code, out, err = cli(capsys, "list", what, "--format", format_)
        assert (code, err) == (0, "")
        assert out.lstrip("\n").startswith(start)
        assert all(str(row[next(iter(row))]).replace("_", "\\_" if format_ == "latex" else "_") in out for row in rows)


def test_tables_escape_what_would_break_them(capsys):
    rows = [{"name": "a|b & c_d, 50 %", "n": 1.5}, {"name": "[bold]x[/bold]", "n": None}]
    show_table(rows, "md")
    assert "a\\|b" in capsys.readouterr().out
    show_table(rows, "latex")
    assert r"a|b \& c\_d, 50 \%" in capsys.readouterr().out
    show_table(rows, "table")
    assert "[bold]x[/bold]" in capsys.readouterr().out  # markup in data is data
    show_table(rows, "csv")
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1] == ["a|b & c_d, 50 %", "1.5"]
    for format_ in ("table", "json", "csv", "md", "latex"):
        show_table([], format_)


def test_plain_progress_is_one_line_a_minute_and_the_last(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with progress("work", 1000, "samples", done=100) as advance:
        for _ in range(900):
            now[0] += 0.5  # 450 s in all
            advance(1, "")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 8
    assert lines[0] == "work: 220/1000 samples, 2.0/s, 390 s left"
    assert lines[-1] == "work: 1000/1000 samples, 2.0/s, 0 s left"
    with progress("work", 2, show=False) as advance:
        advance(2, "")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress("work", 3, "cells") as advance:
        advance(1, "first")
        advance(2, "second")
    text = stream.getvalue()
    assert "work" in text
    assert "3/3" in text


ENV = environment()
HEAVY = ("torch", "pandas", "sionna", "tensorflow", "sklearn", "scipy", "zarr", "xarray", "matplotlib", "numpy")
LOOKING = [
    ["--help"],
    ["generate", "--help"],
    *(["list", what] for what in ("generators", "recipes", "tasks", "models")),
]


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_looking_around_imports_nothing_heavy(arguments, record_property):
    code = (
        "import sys\nfrom wbench.cli.main import main\ntry:\n    main()\nexcept SystemExit as leaving:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules], leaving.code, file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=ENV)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Information only (pytest --junit-xml keeps it): a time limit in a test fails on a busy machine.
    record_property("cpu_s", after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert done.stderr.strip() == "[] 0"
    assert done.stdout


def test_help_names_every_command_and_the_demo_first(capsys):
    out = cli(capsys, "--help")[1]
    for name in ("list", "doctor", "generate", "inspect", "verify", "train", "evaluate", "score", "demo"):
        assert f"\n  {name} " in out
    assert cli(capsys)[0] in (0, 2)
    assert "0.1.0" in cli(capsys, "--version")[1]


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        command("list", "recipes", "--format", "json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()
