"""Discovery: provider packages, their TOML manifests, and references to code.

A *provider* is an installed package named by an entry point of the group ``wbench.providers``. Its ``provider.toml``
lists what it offers; reading it imports nothing, so listing is instant and a broken simulator cannot break the list.

::

    api = 1
    recipes = "recipes/*.toml"          # one file per recipe, the stem is the name
    tasks = "instances/*.toml"          # one file per task instance
    suites = "suites/*.toml"            # one file per suite
    fingerprints = "fingerprints/*.json"    # what datasets look like elsewhere (`wbench verify`), RECIPE-SIZE.json
    presets = "pretraining/presets/*.toml"  # one file per pre-training (`wbench pretrain NAME`)

    [generators.plane-wave]             # also: families, models, commands
    object = "my_package.plane_wave:PlaneWave"
    summary = "closed-form multipath channel"
    requires = ["oct2py"]               # packages that it imports and that may be absent …
    install = "pip install 'wbench[quadriga]'"   # … and the command that brings them [pip install PACKAGE …]
    probe = "my_package.plane_wave:probe"        # of generators: rows for `wbench doctor` on what else they need
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from wbench.errors import (
    LISTED,
    TRACEBACK_STEP,
    MissingDependencyError,
    PluginError,
    UnknownNameError,
    near_names,
    show_traceback,
)

__all__ = [
    "Entry",
    "Kind",
    "Registry",
    "import_file",
    "import_reference",
    "load",
    "registry",
]

GROUP = "wbench.providers"
API = 1
Kind = Literal["generator", "recipe", "task", "suite", "fingerprint", "preset", "family", "model", "command"]
_OBJECT_KINDS: tuple[Kind, ...] = ("generator", "family", "model", "command")
_FILE_KINDS: tuple[Kind, ...] = ("recipe", "task", "suite", "fingerprint", "preset")


@dataclass(frozen=True)
class Entry:
    """One thing that a provider offers.

    Attributes
    ----------
    kind, name, provider : str
        What it is, its registry name, and the package that offers it.
    object : str
        ``module:attribute`` for code; empty for files.
    path : Path or None
        The file of a recipe, task, suite or fingerprint.
    summary : str
        One line.
    requires : tuple of str
        Importable packages it needs beyond the base install.
    extra : dict
        Other manifest fields.
    """

    kind: Kind
    name: str
    provider: str
    object: str = ""
    path: Path | None = None
    summary: str = ""
    requires: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Registry:
    """Everything that the installed providers offer, and what was wrong with some of them."""

    entries: dict[Kind, dict[str, Entry]]
    problems: tuple[str, ...]

    def names(self, kind: Kind) -> list[str]:
        """Sorted names of a kind."""
        return sorted(self.entries[kind])

    def get(self, kind: Kind, name: str) -> Entry:
        """Entry of that name.

        Raises
        ------
        UnknownNameError
            If there is none; near names and broken providers are mentioned.
        """
        try:
            return self.entries[kind][name]
        except KeyError:
            error = UnknownNameError(kind, name, self.entries[kind])
            if self.problems:
                error.why = f"{error.why} (and a provider could not be read: {'; '.join(self.problems)})"
            raise error from None


@cache
def registry() -> Registry:
    """Read all manifests once per process."""
    found: dict[Kind, dict[str, Entry]] = {kind: {} for kind in (*_OBJECT_KINDS, *_FILE_KINDS)}
    problems: list[str] = []
    for package in sorted({point.value for point in entry_points(group=GROUP)}):
        try:
            entries = list(_read_manifest(package))  # all or nothing of a provider
        except PluginError as error:
            problems.append(" ".join(f"{package}: {error.what} {error.why or ''}".split()))
            continue
        for entry in entries:
            other = found[entry.kind].setdefault(entry.name, entry)
            if other is not entry:
                problems.append(f"{package}: {entry.kind} {entry.name!r} is already offered by {other.provider}")
    return Registry(found, tuple(problems))


def _read_manifest(package: str) -> Iterator[Entry]:
    try:
        spec = importlib.util.find_spec(package)
    except Exception as error:  # the search imports the parent of a dotted name, and that can raise anything
        raise PluginError("The provider package cannot be found.", where=package, why=cause_in(error)) from error
    if spec is None or not spec.submodule_search_locations:
        raise PluginError("The provider package is not installed.", where=package)
    root = Path(next(iter(spec.submodule_search_locations)))
    try:
        manifest = tomllib.loads((root / "provider.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PluginError("provider.toml cannot be read.", where=str(root), why=str(error)) from error
    if manifest.get("api") != API:
        raise PluginError(f"provider.toml has api = {manifest.get('api')!r}.", why=f"this wbench reads api = {API}")
    for kind in _OBJECT_KINDS:
        field_name = f"{kind}s" if kind != "family" else "families"
        tables = manifest.get(field_name, {})
        if not isinstance(tables, dict):
            raise PluginError(f"{field_name} in provider.toml is not a table.", where=package)
        for name, table in tables.items():
            yield _object_entry(kind, name, package, table)
    for kind in _FILE_KINDS:
        pattern = manifest.get(f"{kind}s", "")
        try:
            paths = sorted(root.glob(pattern)) if pattern else []
        except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
            raise PluginError(f"{kind}s = {pattern!r} is not a file pattern.", where=package, why=str(error)) from error
        for path in paths:
            yield Entry(kind, path.stem, package, path=path)


def _object_entry(kind: Kind, name: str, package: str, table: Any) -> Entry:
    where = f"{package}/provider.toml"
    if not isinstance(table, dict) or ":" not in str(table.get("object", "")):
        raise PluginError(f"{kind} {name!r} has no object = 'module:attribute'.", where=where)
    requires = table.get("requires", [])
    if not isinstance(requires, list) or not all(isinstance(package, str) for package in requires):
        raise PluginError(f"{kind} {name!r}: requires is not a list of package names.", where=where)
    extra = {key: value for key, value in table.items() if key not in {"object", "summary", "requires"}}
    summary = str(table.get("summary", ""))
    return Entry(kind, name, package, str(table["object"]), None, summary, tuple(requires), extra)


def load(kind: Kind, name: str, *, ready: bool = True) -> Any:
    """Import the object of a registered generator, family, model or command.

    Parameters
    ----------
    kind, name : str
        What to load.
    ready : bool
        Check that what the entry requires is installed. False for a look at its description only: a dataset can be
        used where its simulator is not.

    Raises
    ------
    UnknownNameError
        No such name.
    MissingDependencyError
        A package that the entry requires is not installed; the message has the pip command.
    PluginError
        The code cannot be imported.
    """
    entry = registry().get(kind, name)
    missing = [package for package in entry.requires if not _installed(package)] if ready else []
    if missing:
        names = " ".join(_DISTRIBUTIONS.get(package, package) for package in missing)
        what = f"The {kind} {name!r} needs {', '.join(missing)}, which is not installed."
        command = entry.extra.get("install", f"pip install {names}")
        raise MissingDependencyError(what, next_step=f"{command}    (wbench doctor shows what else is missing)")
    return import_reference(entry.object)


#: What pip calls packages that are imported by another name.
_DISTRIBUTIONS = {
    "deepmimo": "DeepMIMO",
    "sionna": "sionna-no-rt",
    "sionna.rt": "sionna-rt",
    "sklearn": "scikit-learn",
}


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # the parent of a dotted name is absent, or a stand-in without a spec
        return package in sys.modules and sys.modules[package] is not None


def import_reference(reference: str) -> Any:
    """Import ``package.module:attribute`` or ``./file.py:attribute``.

    Raises
    ------
    PluginError
        If the file or module cannot be imported, or has no such attribute; syntax errors are shown with their line.
    """
    target, _, attribute = reference.rpartition(":")
    if not target or not attribute:
        raise PluginError(f"{reference!r} is not a reference.", next_step="use package.module:Class or ./file.py:Class")
    if target.endswith(".py"):
        module = import_file(Path(target))
    else:
        try:
            module = importlib.import_module(target)
        except (Exception, SystemExit) as error:
            _raise_if_missing(error, target)
            show_traceback(error)
            step = _import_step(error, target, attribute)
            raise PluginError(
                "The module cannot be imported.", where=target, why=cause_in(error), next_step=step
            ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]
        near = near_names(attribute, public) or public
        why = f"it has the classes {', '.join(public[:LISTED])}" if public else "it has no classes"
        step = f"{target}:{near[0]}" if near else f"write class {attribute} in it, or name another file"
        raise PluginError(f"There is no {attribute!r} in the module.", where=target, why=why, next_step=step) from None


def import_file(path: Path) -> ModuleType:
    """Import a Python file under a name that depends on its path only, so that its objects pickle across processes."""
    path = path.expanduser().resolve()
    if not path.is_file():
        beside = [one.name for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        near = near_names(path.name, beside)[:3]
        why = f"there is {', '.join(near)}" if near else None
        raise PluginError("No such file.", where=str(path), why=why, next_step="correct the path")
    name = f"wbench_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("The file cannot be imported.", where=str(path), why="it is not a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        _raise_if_missing(error, str(path))
        if isinstance(error, Exception | SystemExit):
            show_traceback(error)
            step = _import_step(error, str(path), "")
            raise PluginError(
                "The file cannot be imported.", where=str(path), why=cause_in(error, path), next_step=step
            ) from error
        raise  # an interrupt stays one
    return module


#: Frameworks of models that are extras of wbench.
_EXTRAS = {"keras": "tensorflow", "onnx": "onnx", "onnxruntime": "onnx", "tensorflow": "tensorflow"}


def _raise_if_missing(error: BaseException, where: str) -> None:
    """Say so if all that an import lacks is a framework that an extra of wbench brings."""
    if isinstance(error, MissingDependencyError):
        raise error
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in _EXTRAS:
        step = f"pip install 'wbench[{_EXTRAS[package]}]'"
        raise MissingDependencyError(f"{package} is not installed.", where=where, next_step=step) from error


def _import_step(error: BaseException, target: str, attribute: str) -> str:
    """What helps against a failed import."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return TRACEBACK_STEP
    package = error.name.partition(".")[0]
    if attribute and target.partition(".")[0] == package:
        file = Path(*target.split(".")).with_suffix(".py")
        if file.is_file():
            return f"./{file}:{attribute}: files in the current folder are named as files"
        return f"install the package that has {target}, or name a file: ./file.py:{attribute}"
    return f"install what brings {package} into this environment, most often: pip install {_pip_name(package)}"


def _pip_name(package: str) -> str:
    return _DISTRIBUTIONS.get(package, package)


def cause_in(error: BaseException, path: str | Path | None = None) -> str:
    """One line: the exception, and where in the file it came from."""
    if isinstance(error, SyntaxError):
        return f"syntax error in line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (f"line {lines[-1]}: " if lines else "") + f"{type(error).__name__}: {error}"
