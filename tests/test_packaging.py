"""The distribution: what the wheel holds, what a start imports, what the bounds and pins say, what `make` answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import check_files

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = {
    "wbench": ROOT / "wbench",
    "wbench_generators": ROOT / "generators/wbench_generators",
    "wbench_tasks": ROOT / "tasks/wbench_tasks",
    "wbench_baselines": ROOT / "baselines/wbench_baselines",
    "wbench_leaderboard": ROOT / "leaderboard/wbench_leaderboard",
}
FOUR = set(PACKAGES) - {"wbench"}
HEAVY = {
    *("torch", "sionna", "tensorflow", "mitsuba", "drjit", "pandas", "sklearn", "scipy", "zarr", "h5py", "xarray"),
    *("matplotlib", "dask", "distributed"),
}


# ------------------------------------------------------------------------------------------------- what is shipped


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from that sdist: what the sdist lacks, the wheel lacks too."""
    out = tmp_path_factory.mktemp("built")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def shipped_files() -> set[str]:
    """Return every file of the five packages as the wheel should name it: ``package/path``."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def test_wheel_holds_exactly_the_five_packages(wheel: zipfile.ZipFile) -> None:
    names = {n for n in wheel.namelist() if ".dist-info/" not in n}
    assert names - shipped_files() == set()
    assert shipped_files() - names == set()  # a pattern in .gitignore that hits package data shows up here


def test_wheel_has_data_types_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {f"{name}/py.typed" for name in PACKAGES} <= set(names)
    assert not [n for n in names if "tests" in Path(n).parts or Path(n).name.startswith(("test_", "conftest"))]
    assert not [n for n in names if Path(n).parts[0] in {"generators", "tasks", "baselines", "leaderboard"}]
    for suffix in (".toml", ".html", ".css", ".js", ".csv"):
        in_tree = {n for n in shipped_files() if n.endswith(suffix)}
        assert in_tree == {n for n in names if n.endswith(suffix)}
    assert any(n.startswith("wbench_generators/") and n.endswith(".toml") for n in names), "no recipe is shipped"
    assert any(n.startswith("wbench_tasks/") and n.endswith(".toml") for n in names), "no task is shipped"


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    import wbench

    info = f"wbench-{wbench.__version__}.dist-info"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    entry = ConfigParser()
    entry.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert dict(entry["console_scripts"]) == {"wbench": "wbench.cli.main:main"}
    assert set(entry["wbench.providers"].values()) == FOUR


def test_sdist_is_an_allow_list(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        tops = {Path(n).parts[1] for n in archive.getnames() if len(Path(n).parts) > 1}
    assert {
        "pyproject.toml",
        "constraints.txt",
        "LICENSE",
        "README.md",
        "Makefile",
        "tests",
        *PACKAGES.keys() - FOUR,
    } <= tops
    assert not tops & {"data", "results", "site", "site-demo", ".venv", "build", "dist", "node_modules"}


def test_version_is_the_same_everywhere() -> None:
    import wbench

    assert f"version: {wbench.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {wbench.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------- shape of the tree


def test_tree_has_the_agreed_shape() -> None:
    assert check_files.too_long(ROOT) == []
    assert check_files.packaged_roots(ROOT) == []


def test_check_files_finds_both_faults(tmp_path: Path) -> None:
    (tmp_path / "wbench").mkdir()
    (tmp_path / "wbench/at_limit.py").write_text("x = 1\n" * 400)
    (tmp_path / "wbench/beyond.py").write_text("x = 1\n" * 401)
    (tmp_path / "wbench/big.csv").write_text("1\n" * 401)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/__init__.py").touch()
    assert [line.split(":")[0] for line in check_files.too_long(tmp_path)] == ["wbench/beyond.py"]
    assert [line.split(":")[0] for line in check_files.packaged_roots(tmp_path)] == ["tasks/__init__.py"]
    assert check_files.main(tmp_path) == 1


# ------------------------------------------------------------------------------------------------- what a start costs


def imported_by(*arguments: str) -> set[str]:
    """Run ``wbench ARGUMENTS`` in a fresh interpreter; return the top-level names that it imported."""
    code = "import sys; from wbench.cli.main import main; sys.argv[0] = 'wbench'; sys.exit(main())"
    paths = [ROOT, *(ROOT / folder for folder in check_files.SOURCE_ROOTS)]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    )
    timed = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == 0, "\n".join(line for line in done.stderr.splitlines() if line not in timed)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in timed}


def test_import_check_can_see_an_import() -> None:
    assert {"wbench", "click"} <= imported_by("--help")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("list", "generators"),
        ("list", "recipes"),
        ("list", "tasks"),
        ("list", "models"),
        ("list", "suites"),
    ],
    ids=" ".join,
)
def test_start_and_lists_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) & (HEAVY | FOUR) == set()


# ------------------------------------------------------------------------------------------------- bounds and pins


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for group in (PROJECT["dependencies"], *extras) for text in group]


def pins() -> dict[str, Version]:
    """Return the pins of ``constraints.txt`` that hold for this interpreter, by canonical name."""
    found: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        assert requirement.name not in found, line
        found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def test_every_declared_dependency_is_pinned_within_its_bounds() -> None:
    pinned = pins()
    for requirement in declared():
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} against the pin {version}"


def test_pins_are_portable() -> None:
    assert [name for name, version in pins().items() if version.local is not None] == []


def test_extras_are_the_agreed_ones() -> None:
    agreed = {"rt", "quadriga", "deepmimo", "tensorflow", "onnx", "dask", "s3", "docs", "dev"}
    assert set(PROJECT["optional-dependencies"]) == agreed


# ------------------------------------------------------------------------------------------------- make


def run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make is not None, "this test needs make"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run([make, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment)


def test_make_help_lists_every_target() -> None:
    done = run_make("help")
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("make ")}
    assert listed == {"help", "install", "demo", "board", "test", "lint", "bench", "docs", "clean"}


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("pass", "no python3 here. Debian, Ubuntu: apt-get install python3 python3-venv"),
        ("version_info", "needs Python >= 3.11, "),
        ("ensurepip", "has no venv with ensurepip. Debian, Ubuntu: apt-get install python3-venv"),
    ],
)
def test_make_says_what_the_machine_lacks(tmp_path: Path, lacks: str, says: str) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\ncase "$*" in -V) echo Python 3.9.2 ;; *{lacks}*) exit 1 ;; esac\n')
    python.chmod(0o755)
    done = run_make("install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "venv").exists()
