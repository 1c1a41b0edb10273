"""``wbench doctor``: what works on this machine, and what to install for the rest."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import click

from wbench import registry
from wbench.cli.tables import format_option, show_table

__all__ = ["doctor"]

# what, importable package, distribution, what it is for, how to get it
_PACKAGES = (
    ("sionna", "sionna-no-rt", "generator sionna-38901", "pip install 'wbench'"),
    ("torch", "torch", "networks, Sionna", "pip install 'wbench'"),
    ("zarr", "zarr", "datasets", "pip install 'wbench'"),
    ("sionna.rt", "sionna-rt", "ray tracing", "pip install 'wbench[rt]'"),
    ("oct2py", "oct2py", "QuaDRiGa through Octave", "pip install 'wbench[quadriga]'"),
    ("deepmimo", "DeepMIMO", "DeepMIMO downloads and cross-check", "pip install 'wbench[deepmimo]'"),
    ("tensorflow", "tensorflow", "Keras and TensorFlow models", "pip install 'wbench[tensorflow]'"),
    ("onnxruntime", "onnxruntime", "ONNX models", "pip install 'wbench[onnx]'"),
    ("distributed", "distributed", "Dask clusters", "pip install 'wbench[dask]'"),
    ("s3fs", "s3fs", "S3 storage", "pip install 'wbench[s3]'"),
)
_PROGRAMS = (
    ("octave", "QuaDRiGa, COST 2100", "apt-get install octave"),
    ("chromium", "browser tests of the site", "apt-get install chromium"),
    ("git", "provenance of a checkout", "apt-get install git"),
)


@click.command()
@format_option
def doctor(format_: str) -> int:
    """Say what works on this machine and what to install. Exit code 3 if something of the base install is missing."""
    rows = [{"what": "python", "state": platform.python_version(), "for": "everything", "install": ""}]
    base_missing = False
    for package, distribution, purpose, install in _PACKAGES:
        state = _state(package, distribution)
        missing = state == "missing"
        base_missing |= missing and install.endswith("'wbench'")
        rows.append({"what": distribution, "state": state, "for": purpose, "install": install if missing else ""})
    for program, purpose, install in _PROGRAMS:
        there = shutil.which(program) is not None
        state = "found" if there else "missing"
        rows.append({"what": program, "state": state, "for": purpose, "install": "" if there else install})
    rows += _probed()
    show_table(rows, format_)
    for problem in registry.registry().problems:
        click.secho(f"plug-in: {problem}", fg="yellow", err=True)
    return 3 if base_missing else 0


def _probed() -> list[dict[str, str]]:
    """Rows of the generators' own probes: ``probe = "module:function"`` in their manifest, rows as above."""
    rows: list[dict[str, str]] = []
    for name, entry in registry.registry().entries["generator"].items():
        if "probe" not in entry.extra:
            continue
        try:
            rows += registry.import_reference(str(entry.extra["probe"]))()
        except Exception as error:  # a plug-in's code; the other rows are worth having
            rows.append({"what": name, "state": f"broken: {error}", "for": f"generator {name}", "install": ""})
    return rows


def _state(package: str, distribution: str) -> str:
    try:
        if importlib.util.find_spec(package) is None:
            return "missing"
        return version(distribution)
    except PackageNotFoundError:
        return "found"
    except (ImportError, ValueError):
        return "missing"
    except Exception as error:  # looking for a.b imports a, which can fail in any way
        return f"broken: {error}"
