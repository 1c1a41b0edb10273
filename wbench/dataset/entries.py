"""Manifest entries in memory: a mapping that reads parts when they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wbench.dataset.objects import Place
from wbench.dataset.spec import DatasetSpec
from wbench.errors import DatasetError

__all__ = ["Entries", "Part", "checked", "entry_digest", "read_part"]

#: The header of a part is shorter.
_HEAD_BYTES: Final = 512


def entry_digest(entry: Mapping[str, Any]) -> str:
    """Digest of everything else in an entry: a flipped bit in it must not pass for other data."""
    # Statistics may be NaN, which canonical JSON refuses.
    rest = json.dumps({name: value for name, value in entry.items() if name != "digest"}, sort_keys=True)
    return "sha256:" + hashlib.sha256(rest.encode()).hexdigest()


def checked(entry: Any, spec: DatasetSpec, shard: int) -> dict[str, Any]:
    """The entry, if it is one of this shard of this dataset.

    Raises
    ------
    DatasetError
        If it belongs to another dataset.
    ValueError, KeyError, TypeError
        If it is no entry.
    """
    ids = spec.shard_range(shard)
    if entry["spec"] != spec.digest or shard >= spec.shards:
        raise DatasetError("its manifest entry belongs to another dataset")
    arrays = entry["arrays"]
    sound = isinstance(arrays, dict) and all(isinstance(digest, str) for digest in arrays.values())
    if entry["shard"] != shard or entry["samples"] != [ids.start, ids.stop] or not sound:
        raise ValueError("wrong fields")
    if entry["digest"] != entry_digest(entry):
        raise ValueError("other content than was written")
    return dict(entry)


@dataclass
class Part:
    """Entries of one group; ``lines`` is None until they are read.

    Attributes
    ----------
    key : str
        The object.
    first, count : int
        Its shards.
    lines : dict of int to bytes, or None
        Entries by shard as they were written.
    """

    key: str = ""
    first: int = 0
    count: int = 0
    lines: dict[int, bytes] | None = field(default_factory=dict)

    def __contains__(self, shard: int) -> bool:
        return shard in self.lines if self.lines is not None else 0 <= shard - self.first < self.count

    def load(self, place: Place) -> None:
        """Read the lines."""
        if self.lines is None:
            body = place.read(self.key).split(b"\n")[1:-1]
            whole = len(body) == self.count  # else a line end was damaged, and the lines have to say whose they are
            self.lines = dict(enumerate(body, self.first)) if whole else _by_shard(body, self.first, self.count)

    def entry(self, shard: int, spec: DatasetSpec) -> dict[str, Any]:
        """One entry.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is not there or damaged.
        """
        if self.lines is None:
            raise ValueError("the part has not been read")
        return checked(json.loads(self.lines[shard]), spec, shard)


def read_part(place: Place, key: str, spec: DatasetSpec, first: int, count: int, size: int) -> Part:
    """A part by its header alone if that and the size are right; otherwise whatever of its lines can be used."""
    part = Part(key, first, count, None)
    try:
        line, newline, _ = place.read(key, 0, _HEAD_BYTES).partition(b"\n")
        head = json.loads(line)
        right = {"spec": spec.digest, "first": first, "entries": count, "bytes": size - len(line) - len(newline)}
        if newline and head == right:
            return part
    except ValueError:
        pass  # a damaged header: look at the lines
    except FileNotFoundError:
        return Part(key, first, count)
    part.lines = _by_shard(place.read(key).split(b"\n")[:-1], first, count)
    return part


def _by_shard(lines: list[bytes], first: int, count: int) -> dict[int, bytes]:
    found = {}
    for line in lines:
        try:
            shard = json.loads(line)["shard"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(shard, int) and first <= shard < first + count:
            found[shard] = line
    return found


class Entries(Mapping[int, dict[str, Any]]):
    """Entries by shard; of the parts only the last one used is in memory.

    Parameters
    ----------
    place : Place
        Where the parts lie.
    spec : DatasetSpec
        What was asked for.
    single : mapping of int to dict
        Entries that are objects of their own.
    parts : mapping of int to Part
        Parts by group.
    group : int
        Shards of a group.
    gone : frozenset of int
        Shards whose entry in a part does not count.
    """

    def __init__(
        self,
        place: Place,
        spec: DatasetSpec,
        single: Mapping[int, dict[str, Any]],
        parts: Mapping[int, Part],
        group: int,
        gone: frozenset[int],
    ) -> None:
        self._place, self._spec, self._single = place, spec, single
        self._parts, self._group, self._gone = parts, group, gone
        self._loaded: Part | None = None

    def __contains__(self, shard: object) -> bool:
        if not isinstance(shard, int):
            return False
        if shard in self._single:
            return True
        part = self._parts.get(shard // self._group)
        return part is not None and shard not in self._gone and shard in part

    def __iter__(self) -> Iterator[int]:
        return (shard for shard in range(self._spec.shards) if shard in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, shard: int) -> dict[str, Any]:
        if shard in self._single:
            return self._single[shard]
        if shard not in self:
            raise KeyError(shard)
        part = self._parts[shard // self._group]
        try:
            return self._lines_of(part).entry(shard, self._spec)
        except (ValueError, KeyError, TypeError) as error:
            why = error.what if isinstance(error, DatasetError) else f"{type(error).__name__}: {error}"
            raise DatasetError(
                f"Shard {shard} cannot be used: its manifest entry is damaged.",
                where=f"{self._place}/{part.key}",
                why=why,
                next_step=f"wbench verify {self._place} --repair",
            ) from error

    def _lines_of(self, part: Part) -> Part:
        if part.lines is not None:
            return part
        if self._loaded is None or self._loaded.key != part.key:
            self._loaded = Part(part.key, part.first, part.count, None)
            self._loaded.load(self._place)
        return self._loaded
