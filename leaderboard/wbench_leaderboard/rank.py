"""The ranking rule: who is compared with whom, in which order, and which differences are real.

Within one task and one comparison group (regime, head, budget) models are sorted by the primary score. The *rank range*
says which positions the data leave open, from paired comparisons of the same left-out groups, Holm-corrected; the rank
is its better end, so models that cannot be told apart tie.

Trivial and classical methods are ranked among themselves and stand in every other
group as reference lines without a rank. Nothing is ever averaged or sorted across two groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wbench.errors import ResultError
from wbench_leaderboard.compare import Verdict, rank_ranges, skill, verdict
from wbench_leaderboard.entries import Edition, Entry, GroupKey
from wbench_leaderboard.text import natural

__all__ = ["Board", "Group", "Standing", "rank_boards", "sort_entries"]

UNRANKED_SIZES = frozenset({"tiny"})


@dataclass(frozen=True)
class Standing:
    """One row of a ranking.

    Attributes
    ----------
    rank : int or None
        One more than there are contestants that are surely better; the position by score, shared by equal ones, where
        replicates are missing; None for reference lines and where nothing is ranked.
    rank_range : (int, int) or None
        Best and worst position that the paired comparisons leave possible; None if replicates are missing.
    skill : float or None
        1 - error / error of the best trivial model; None if there is no trivial model.
    versus_classical : {"better", "worse", "same"} or None
        Paired comparison with the best classical method of the group.
    """

    entry: Entry
    reference: bool
    rank: int | None
    rank_range: tuple[int, int] | None
    skill: float | None
    versus_classical: Verdict | None

    @property
    def middle(self) -> float | None:
        """Middle of the rank range, as averages over tasks use it: those that tie share the positions they tie over."""
        if self.rank is None or self.rank_range is None:
            return self.rank
        return sum(self.rank_range) / 2


@dataclass(frozen=True)
class Group:
    """One ranking: a regime with head and budget, or (``key.regime == "reference"``) the classical methods."""

    key: GroupKey
    standings: tuple[Standing, ...]
    trivial: Entry | None
    classical: Entry | None

    @property
    def contestants(self) -> tuple[Standing, ...]:
        """The rows that compete, best first."""
        return tuple(s for s in self.standings if not s.reference)


@dataclass(frozen=True)
class Board:
    """One task at one size: its current edition, ranked, and what is listed only.

    ``stale`` are entries of older editions, and those that are withdrawn, superseded or from a paper. ``hidden`` are
    those on the hidden test part of a season, shown apart. Where nothing of the current edition is there, ``entries``
    and ``groups`` are empty.
    """

    edition: Edition
    ranked: bool
    groups: tuple[Group, ...]
    entries: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    hidden: tuple[Entry, ...] = ()

    @property
    def all(self) -> tuple[Entry, ...]:
        """Every entry, the ranked ones first; never empty."""
        return (*self.entries, *self.hidden, *self.stale)


def sort_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Entries by primary score, best first; equal scores by name."""
    return sorted(
        entries,
        key=lambda e: (
            -e.primary.value if e.primary.higher_is_better else e.primary.value,
            e.model.name,
            e.model.revision,
            e.group.order,
        ),
    )


def rank_boards(entries: Sequence[Entry], current: Mapping[tuple[str, str], Edition] | None = None) -> list[Board]:
    """Rank every task and size.

    The current edition of a task at a size is the given one. Of a task that is not given, the newest version of those
    that meet is current; between editions of one version, the one that most models were scored on. Entries of the
    others are stale: listed, never ranked; nor is anything ranked on data whose fingerprint is different from the
    published one, or that was withdrawn or superseded.
    """
    by_task: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        by_task[entry.edition.task, entry.edition.size].append(entry)
    boards = []
    for key, same_task in by_task.items():
        edition = (current or {}).get(key) or _current_edition(same_task)
        members = [entry for entry in same_task if entry.edition == edition and not entry.left_out]
        hidden = [entry for entry in same_task if edition.hides(entry.edition) and not entry.left_out]
        shown = set(map(id, (*members, *hidden)))
        stale = [entry for entry in same_task if id(entry) not in shown]
        _check_paired(members)
        ranked = edition.size not in UNRANKED_SIZES and not edition.foreign
        boards.append(Board(edition, ranked, _groups(members, ranked), tuple(members), tuple(stale), tuple(hidden)))
    return sorted(boards, key=lambda b: (_size_order(b.edition.size), natural(b.edition.task)))


def _current_edition(entries: Sequence[Entry]) -> Edition:
    competing = [entry for entry in entries if not entry.left_out] or entries
    competing = [entry for entry in competing if not entry.edition.season] or competing
    counts = Counter(entry.edition for entry in competing)
    return max(counts, key=lambda edition: _rightful(edition, counts[edition]))


def _rightful(edition: Edition, entries: int) -> tuple[bool, int, int, int, str, tuple[tuple[str, str, str], ...]]:
    e = edition
    return (not e.foreign, e.version, e.metric_version, entries, e.digest, e.datasets)


def _check_paired(entries: Sequence[Entry]) -> None:
    """All results of an edition leave out the same groups; one that does not was made in some other way."""
    found: dict[int, str] = {}
    for entry in entries:
        found.setdefault(len(entry.primary.estimate.replicates), entry.model.name)
    found.pop(0, None)
    if len(found) > 1:
        edition = entries[0].edition
        raise ResultError(
            "Results of one task were not scored on the same groups, so they cannot be compared.",
            where=f"{edition.task} ({edition.size})",
            why=", ".join(f"{name}: {groups} groups" for groups, name in sorted(found.items())),
            next_step="wbench score RESULT, for each of them",
        )


def _size_order(size: str) -> tuple[int, str]:
    sizes = ("standard", "large", "tiny")
    return (sizes.index(size) if size in sizes else len(sizes), size)


def _groups(entries: Sequence[Entry], ranked: bool) -> tuple[Group, ...]:
    references = [e for e in entries if e.reference]
    keys = sorted({e.group for e in entries if not e.reference}, key=lambda key: key.order)
    groups = [
        _group(key, [e for e in entries if not e.reference and e.group == key], _beside(references, key), ranked)
        for key in keys
    ]
    # Untrained references belong to every budget; where nothing else is there, they make one table of their own.
    parts = {e.group.part for e in references if e.group.regime != "none"}
    if not parts and references:
        parts = {(100.0, None)}
    for key in sorted((GroupKey("reference", None, *part) for part in parts), key=lambda key: key.order):
        groups.append(_group(key, _beside(references, key), [], ranked))
    return tuple(groups)


def _beside(references: Sequence[Entry], key: GroupKey) -> list[Entry]:
    """References that may stand beside a group: fitted on the same budget, or not fitted at all."""
    return [e for e in references if e.group.regime == "none" or e.group.part == key.part]


def _group(key: GroupKey, contestants: Sequence[Entry], references: Sequence[Entry], ranked: bool) -> Group:
    everyone = sort_entries([*contestants, *references])
    trivial = next((e for e in everyone if e.model.kind == "trivial"), None)
    classical = next((e for e in everyone if e.model.kind == "classical"), None)
    order = sort_entries(contestants)
    ranges = rank_ranges(order) if ranked else [None] * len(order)
    range_of = dict(zip(map(id, order), ranges, strict=True))
    place_of: dict[float, int] = {}
    for place, entry in enumerate(order, 1):
        place_of.setdefault(entry.primary.value, place)
    standings = []
    for entry in everyone:
        competes = id(entry) in range_of
        spread = range_of.get(id(entry))
        standings.append(
            Standing(
                entry=entry,
                reference=not competes,
                rank=(spread[0] if spread else place_of[entry.primary.value]) if ranked and competes else None,
                rank_range=spread,
                skill=None if trivial is None else skill(entry, trivial),
                versus_classical=verdict(entry, classical) if competes and classical and ranked else None,
            )
        )
    return Group(key, tuple(standings), trivial, classical)
