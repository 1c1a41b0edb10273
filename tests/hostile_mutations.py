"""Random mutations of a valid submission: bytes, JSON values, arrays, files. A seed gives the same mutations again."""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers_submission import lay, make, result_file, seal
from wbench.result import Result
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.arrays import pack_archive
from wbench_leaderboard.submission.check import check_submissions
from wbench_leaderboard.submission.reading import read_submitted
from wbench_leaderboard.submission.report import Report
from wbench_leaderboard.submission.wording import value_fault

__all__ = ["Tally", "fuzz"]

Random = np.random.Generator
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2**53, 10**40, -0.0, 1e-320, 1e308, 0.5, "", " ", "0", "nan", "\u202e", "\x00",
    "\ud800", "<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "{{7*7}}", "../../x", "/etc/passwd",
    "javascript:1", "sha256:" + "0" * 64, "a" * 5000, [], {}, [[]], [None], {"": ""}, {"__proto__": 1}, [0] * 300,
    "standard", "tiny", "none",
]  # fmt: skip


@dataclass
class Tally:
    """What became of the mutations; ``accepted`` are the results of those that were not refused."""

    refused: int = 0
    accepted: list[Result] = field(default_factory=list)
    unforeseen: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def fuzz(root: Path, mutations: int, seed: int = 0) -> Tally:
    """Mutate and check so many times below ``root``.

    Raises
    ------
    AssertionError
        If a check crashes, tells nothing, or accepts what has a text that should have been refused.
    """
    folder = lay(root / "submissions", make())
    valid = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    tally = Tally()
    for index in range(mutations):
        rng = np.random.default_rng([seed, index])
        kind = _KINDS[int(rng.integers(len(_KINDS)))]
        kind(folder, rng)
        sealed = bool(rng.random() < 0.7) and (folder / layout.MANIFEST).is_file()
        if sealed:
            _seal(folder)
        changed = _state(folder) != valid
        began = time.monotonic()
        report = check_submissions(root / "submissions", data=root / "no-data")
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
        _judge(report, folder, changed, f"seed {seed}, mutation {index}: {kind.__name__}", tally)
        _restore(root / "submissions", valid)
    return tally


def _judge(report: Report, folder: Path, changed: bool, which: str, tally: Tally) -> None:
    if "check failed on it" in report.text():
        tally.unforeseen.append(f"{which}: {report.text()}")
    if not report.ok:
        assert all(finding.what and finding.where for finding in report.errors), which
        tally.refused += 1
    elif changed:
        result = read_submitted(result_file(folder))
        assert value_fault(json.loads(result.model_dump_json())) is None, which
        tally.accepted.append(result)


def _state(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def _restore(root: Path, valid: dict[Path, bytes]) -> None:
    """Only what differs is written or removed: removing folders is what costs time."""
    folders = {parent for path in valid for parent in path.parents}
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_symlink() or (path not in valid and path not in folders):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path, content in valid.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _seal(folder: Path) -> None:
    try:
        seal(folder)
    except (ValueError, TypeError, OSError):
        return  # the list of files itself is what was mutated


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _pick(rng: Random, items: list[Any]) -> Any:
    return items[int(rng.integers(len(items)))]


# --- kinds of mutations -----------------------------------------------------------------------------------------------
def flip_bytes(folder: Path, rng: Random) -> None:
    """A few bytes anywhere in a file become others."""
    path = _pick(rng, _files(folder))
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 5))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    path.write_bytes(bytes(data))


def cut_or_repeat(folder: Path, rng: Random) -> None:
    """A piece of a file is left out, or stands there twice."""
    path = _pick(rng, _files(folder))
    data = path.read_bytes()
    start, stop = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    path.write_bytes(data[:start] + (data[stop:] if rng.random() < 0.5 else data[start:stop] * 2 + data[stop:]))


def hostile_value(folder: Path, rng: Random) -> None:
    """A value of a JSON file becomes a hostile one, or disappears, or gets a sister."""
    path = result_file(folder) if rng.random() < 0.85 else folder / layout.MANIFEST
    table = json.loads(path.read_text())
    for _ in range(int(rng.integers(1, 3))):
        holder, key = _place(rng, table) if rng.random() < 0.5 else _pick(rng, list(_places(table)))
        value = copy.deepcopy(_pick(rng, HOSTILE))  # lists and tables of it must not grow from mutation to mutation
        if isinstance(value, float) and rng.random() < 0.5:
            value = float(rng.standard_normal() * 10.0 ** rng.integers(-8, 9))
        action = rng.random()
        if action < 0.75:
            holder[key] = value
        elif action < 0.9:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(value)
        else:
            holder[str(_pick(rng, HOSTILE))] = value
    path.write_text(json.dumps(table, allow_nan=True))


def _place(rng: Random, value: Any) -> tuple[Any, Any]:
    """A place by random steps from the top: replicates are nine of ten places, and would take nine of ten mutations."""
    while True:
        key = _pick(rng, list(value)) if isinstance(value, dict) else int(rng.integers(len(value)))
        if not isinstance(value[key], (dict, list)) or not value[key] or rng.random() < 0.2:
            return value, key
        value = value[key]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def nudge_number(folder: Path, rng: Random) -> None:
    """A number of the result changes a little, as somebody who polishes a score would do it."""
    path = result_file(folder)
    table = json.loads(path.read_text())
    numbers = [(h, k) for h, k in _places(table["scores"]) if type(h[k]) in (int, float)]
    holder, key = _pick(rng, numbers)
    holder[key] += type(holder[key])(1) if isinstance(holder[key], int) else 10.0 ** rng.uniform(-5, 0)
    path.write_text(json.dumps(table))


def mutate_array(folder: Path, rng: Random) -> None:
    """The archive or the predictions are written anew with another dtype, shape or value."""
    place = result_file(folder).parent
    wild: list[Callable[[Any], Any]] = [
        lambda a: a.astype(np.float16), lambda a: a[:-1], lambda a: a.T.copy(), lambda a: a[..., None], lambda a: a * 0,
        lambda a: np.concatenate([a, a]), lambda a: a.astype(object), lambda a: a.astype("U8"), lambda a: a + 1,
        lambda a: np.where(np.arange(a.size).reshape(a.shape) == 3, np.nan, a), lambda a: a[:0], lambda a: a[::-1],
        lambda a: a.astype(">f8"), lambda a: (a * 1e200).astype(a.dtype) if a.dtype == np.float64 else -a,
    ]  # fmt: skip
    if rng.random() < 0.4:
        np.save(place / layout.PREDICTIONS, _pick(rng, wild)(np.load(place / layout.PREDICTIONS)), allow_pickle=True)
        return
    with np.load(place / layout.COLUMNS) as archive:
        table = {name: archive[name] for name in archive.files}
    name = _pick(rng, sorted(table))
    table[name] = _pick(rng, wild)(table[name])
    if table[name].dtype.kind in "iuf" and rng.random() < 0.7:  # in our own form: only what it says is wrong
        (place / layout.COLUMNS).write_bytes(pack_archive(table))
        return
    with (place / layout.COLUMNS).open("wb") as stream:
        _pick(rng, [np.savez, np.savez_compressed])(stream, **table)


def mutate_tree(folder: Path, rng: Random) -> None:
    """A file moves, disappears, becomes a link or gets company."""
    path = _pick(rng, _files(folder))
    names = ["x", "README.md", ".git", "a b", "\u202ex", "result.json", "..x", "con", "x" * 200, "-rf", "RESULT.JSON"]
    name = _pick(rng, names)
    action = int(rng.integers(5))
    if action == 0:
        path.rename(path.with_name(name))
    elif action == 1:
        path.unlink()
    elif action == 2:
        path.unlink()
        path.symlink_to(_pick(rng, ["/etc/passwd", "..", "README.md", "/dev/zero", "nowhere"]))
    elif action == 3:
        path.with_name(name).mkdir(exist_ok=True) if not path.with_name(name).exists() else path.unlink()
    else:
        shutil.copytree(path.parent, path.parent.with_name(name), dirs_exist_ok=True)


_KINDS: list[Callable[[Path, Random], None]] = [
    flip_bytes, cut_or_repeat, hostile_value, hostile_value, hostile_value, nudge_number, mutate_array, mutate_tree,
]  # fmt: skip
