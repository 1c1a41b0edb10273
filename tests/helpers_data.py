"""Small recipes, the command line in this process and in another one, and third-party providers in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wbench import registry
from wbench.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [str(ROOT / part) for part in (".", "generators", "tasks", "baselines", "leaderboard")]

PLANE_WAVE = """
name = "{name}"
version = 1
generator = "plane-wave"
summary = "a test"
licence = "CC0-1.0"
seed = 11
block = {block}

[sizes]
tiny = {{samples = {samples}, shard_blocks = {shard_blocks}}}

[params]
paths = {paths}
bs = {{cols = 4}}
bands.channel = {{subcarriers = {subcarriers}, spacing_hz = 120e3}}
"""


def write_recipe(
    folder: Path, name="small", *, samples=40, block=8, shard_blocks=2, paths=4, subcarriers=4, extra=""
) -> Path:
    """A plane-wave recipe; with the defaults three shards, the last one half a shard."""
    path = folder / f"{name}.toml"
    text = PLANE_WAVE.format(
        name=name, samples=samples, block=block, shard_blocks=shard_blocks, paths=paths, subcarriers=subcarriers
    )
    path.write_text(text + extra)
    return path


def cli(capsys: pytest.CaptureFixture[str], *arguments) -> tuple[int, str, str]:
    """The command line in this process: (exit code, stdout, stderr)."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(leaving.value.code or 0), out, err


def command(*arguments) -> list[str]:
    """The command line as another process."""
    return [sys.executable, "-c", "from wbench.cli.main import main; main()", *map(str, arguments)]


def environment(*folders: Path) -> dict[str, str]:
    """Environment with the sources and further folders on the path, and one native thread."""
    path = os.pathsep.join([*map(str, folders), *SOURCES])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def start(*arguments, **options) -> subprocess.Popen[str]:
    """Start the command line as another process, in a process group of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*arguments), env=environment(), start_new_session=True, **pipes, **options)


def install_provider(folder: Path, package: str, manifest: str | None, code: str = "", **files: str) -> Path:
    """A third-party provider as pip would leave it: a package and a ``.dist-info`` with its entry point."""
    home = folder / package
    home.mkdir(parents=True)
    (home / "__init__.py").write_text(code)
    if manifest is not None:
        (home / "provider.toml").write_text(manifest)
    for name, text in files.items():
        (home / f"{name}.toml").write_text(text)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{package} = {package}\n")
    return home


@pytest.fixture
def providers(tmp_path, monkeypatch):
    """A folder for :func:`install_provider` that is on the path; the registry forgets it afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    registry.registry.cache_clear()
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    registry.registry.cache_clear()


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder with its bytes and the time of its last change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
