"""One manifest entry per shard, written after the shard's data: a shard without an entry does not exist.

An entry is an object of its own, ``.wbench/shard-000042.json``, so writers never share one. When all shards of a group
of :data:`GROUP` are there, their entries are moved into one object, ``.wbench/part-000000.jsonl``: a header, then one
entry a line. An entry of its own always counts before the part's. To make a shard of a part again, an entry that says
``gone`` takes its place first; the next compaction takes the new one in.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.dataset.entries import Entries, Part, checked, entry_digest, read_part
from wbench.dataset.place import MANIFEST, Location, Place, place_of
from wbench.dataset.spec import DatasetSpec
from wbench.digest import array_digest, canonical_json
from wbench.errors import DatasetError

__all__ = [
    "GROUP",
    "MANIFEST",
    "compact",
    "content_digest",
    "entry_key",
    "entry_path",
    "forget_shards",
    "full_groups",
    "has_entry",
    "read_entries",
    "scan_entries",
    "write_entry",
]

#: Shards whose entries become one part.
GROUP: Final = 1000

_ENTRY_NAME = re.compile(r"shard-(\d{6,})\.json")
_PART_NAME = re.compile(r"part-(\d{6,})\.jsonl")


def entry_key(shard: int) -> str:
    """Object of a shard's own entry."""
    return f"{MANIFEST}/shard-{shard:06d}.json"


def entry_path(root: Path, shard: int) -> Path:
    """File of a shard's own entry, in a folder."""
    return root / entry_key(shard)


def _part_key(group: int) -> str:
    return f"{MANIFEST}/part-{group:06d}.jsonl"


def _names(place: Place) -> tuple[set[int], dict[int, int]]:
    """Shards with an entry of their own, and groups with a part and its size in bytes."""
    shards, parts = set(), {}
    for name, size in place.list(MANIFEST).items():
        entry, part = _ENTRY_NAME.fullmatch(name), _PART_NAME.fullmatch(name)
        if entry and entry_key(int(entry[1])) == f"{MANIFEST}/{name}":
            shards.add(int(entry[1]))
        elif part and _part_key(int(part[1])) == f"{MANIFEST}/{name}" and size is not None:
            parts[int(part[1])] = size
    return shards, parts


def write_entry(
    root: Location | Place,
    spec: DatasetSpec,
    shard: int,
    arrays: Mapping[str, npt.NDArray[Any] | str],
    statistics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the entry of a shard: the digests of its stored arrays (or of those given), and statistics for people."""
    ids = spec.shard_range(shard)
    entry: dict[str, Any] = {
        "spec": spec.digest,
        "shard": shard,
        "samples": [ids.start, ids.stop],
        "arrays": {
            name: array if isinstance(array, str) else array_digest(array) for name, array in sorted(arrays.items())
        },
    }
    if statistics:
        entry["statistics"] = dict(statistics)
    entry["digest"] = entry_digest(entry)
    place_of(root).write(entry_key(shard), json.dumps(entry, indent=1, sort_keys=True).encode())
    return entry


def scan_entries(root: Location | Place, spec: DatasetSpec, tries: int = 5) -> tuple[Entries, dict[int, str]]:
    """Entries by shard, and by shard what is wrong with those that cannot be used.

    Parts are read when an entry of theirs is asked for, which then may turn out to be damaged. Where entries vanish
    while they are read, the manifest is looked at again, ``tries`` times.
    """
    place = place_of(root)
    shards, sizes = _names(place)
    single: dict[int, dict[str, Any]] = {}
    problems: dict[int, str] = {}
    for group in sizes:
        if group >= spec.shards // GROUP:
            problems[group * GROUP] = "its manifest entry belongs to another dataset"
    parts = {g: read_part(place, _part_key(g), spec, g * GROUP, GROUP, size) for g, size in sizes.items()}
    parts = {group: part for group, part in parts.items() if group < spec.shards // GROUP}
    found = place.read_many([entry_key(shard) for shard in sorted(shards)])
    if len(found) < len(shards) and tries:  # somebody moves entries into a part right now
        return scan_entries(place, spec, tries - 1)
    for key, data in found.items():
        shard = int(key.removesuffix(".json").rpartition("-")[2])
        try:
            if isinstance(data, Exception):
                raise data
            entry = json.loads(data)
            if not (isinstance(entry, dict) and entry.get("gone") is True and shard // GROUP in parts):
                single[shard] = checked(entry, spec, shard)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems[shard] = f"its manifest entry is damaged ({type(error).__name__}: {error})"
            if isinstance(error, DatasetError):
                problems[shard] = error.what
    return Entries(place, spec, single, parts, GROUP, frozenset(shards - set(single))), problems


def has_entry(root: Location | Place, spec: DatasetSpec, shard: int) -> bool:
    """Whether a shard exists right now."""
    place = place_of(root)
    try:
        data = place.read(entry_key(shard))
    except FileNotFoundError:
        group = shard // GROUP
        if group >= spec.shards // GROUP or not place.exists(_part_key(group)):
            return False
        return shard in _part_of(place, spec, group)
    try:
        checked(json.loads(data), spec, shard)
    except (ValueError, KeyError, TypeError):  # DatasetError is a ValueError
        return False
    return True


def read_entries(root: Location | Place, spec: DatasetSpec) -> Entries:
    """Entries that exist, by shard.

    Raises
    ------
    DatasetError
        If an entry belongs to another spec or is not a manifest entry.
    """
    entries, problems = scan_entries(root, spec)
    for shard, problem in sorted(problems.items()):
        raise DatasetError(
            f"Shard {shard} cannot be used: {problem}.",
            where=f"{root}/{entry_key(shard)}",
            next_step=f"wbench verify {root} --repair",
        )
    return entries


def forget_shards(root: Location | Place, spec: DatasetSpec, shards: Iterable[int]) -> None:
    """Take the entries of these shards back: they do not exist any more."""
    place = place_of(root)
    parts: dict[int, bool] = {}
    for shard in sorted(shards):
        group = shard // GROUP
        if group >= spec.shards // GROUP:  # the last shards have no part; a foreign one is named at its first shard
            place.remove([entry_key(shard), *([_part_key(group)] if shard % GROUP == 0 else [])])
            continue
        if group not in parts:
            parts[group] = place.exists(_part_key(group))
        if parts[group]:
            place.write(entry_key(shard), json.dumps({"gone": True, "shard": shard}).encode())
        else:
            place.remove([entry_key(shard)])


def _part_of(place: Place, spec: DatasetSpec, group: int) -> Part:
    size = _names(place)[1].get(group)
    return Part() if size is None else read_part(place, _part_key(group), spec, group * GROUP, GROUP, size)


def full_groups(root: Location | Place, spec: DatasetSpec) -> list[int]:
    """Groups that can be compacted: all entries are there, some of them still on their own."""
    shards, parts = _names(place_of(root))
    counts = np.bincount([shard // GROUP for shard in shards if shard < spec.shards], minlength=1)
    return [
        g for g in np.flatnonzero(counts).tolist() if g < spec.shards // GROUP and (counts[g] == GROUP or g in parts)
    ]


def compact(root: Location | Place, spec: DatasetSpec, group: int) -> bool:
    """Move the entries of a group into one part; nothing happens while one of its shards is missing or being written.

    It may be killed at any moment and run again: the part is written whole before any entry is removed.

    Returns
    -------
    bool
        Whether the group lies in one part now.
    """
    place = place_of(root)
    if group >= spec.shards // GROUP:
        return False
    with place.claim(group * GROUP, GROUP) as mine:
        if not mine:
            return False
        shards = range(group * GROUP, (group + 1) * GROUP)
        own = place.read_many([entry_key(shard) for shard in shards])
        part = _part_of(place, spec, group)
        part.load(place)
        lines = []
        for shard in shards:
            data = own.get(entry_key(shard))
            try:
                found = part.entry(shard, spec) if data is None else checked(_parsed(data), spec, shard)
            except (OSError, ValueError, KeyError, TypeError):
                return False
            lines.append(json.dumps(found, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        body = b"".join(lines)
        head = canonical_json({"spec": spec.digest, "first": shards.start, "entries": GROUP, "bytes": len(body)})
        if own:
            place.write(_part_key(group), head.encode() + b"\n" + body)
            place.remove(own)
    return True


def _parsed(data: bytes | Exception) -> Any:
    if isinstance(data, Exception):
        raise data
    return json.loads(data)


def content_digest(entries: Mapping[int, Mapping[str, Any]]) -> str:
    """Digest of the bits: of all shards' array digests, in order."""
    # The digest of the canonical JSON of [[shard, arrays], …], which for a million shards nobody wants in memory.
    state = hashlib.sha256(b"[")
    for position, shard in enumerate(sorted(entries)):
        state.update(("," if position else "").encode() + canonical_json([shard, entries[shard]["arrays"]]).encode())
    state.update(b"]")
    return "sha256:" + state.hexdigest()
