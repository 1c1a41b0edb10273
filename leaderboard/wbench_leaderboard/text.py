"""Numbers and names as people read them: formatting, slugs, labels."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

__all__ = [
    "REGIME_LABELS",
    "Slugs",
    "count",
    "data_bytes",
    "natural",
    "number",
    "part_label",
    "percent",
    "regime_label",
    "seconds",
    "short_digest",
    "slice_positions",
    "unit_suffix",
]

MINUS = "\N{MINUS SIGN}"

REGIME_LABELS = {
    "none": "Zero-shot",
    "head": "Trained head",
    "fine-tune": "Fine-tuned",
    "full": "Trained from scratch",
}

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})(?:-(?P<high>{_NUMBER}))?(?P<unit> [A-Za-z/%]+)?")
_ENDLESS = 1e6
_SAFE = re.compile(r"[^a-z0-9._-]+")


def number(value: float, unit: str = "") -> str:
    """Score with the decimals of its unit (dB: 2, otherwise 3, large values fewer) and a true minus sign."""
    magnitude = abs(value)
    decimals = 2 if unit == "dB" or magnitude >= 10 else 3
    if magnitude >= 1000:
        decimals = 0
    text = f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if text.strip("-0.") == "":
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def unit_suffix(unit: str) -> str:
    """Unit as appended to a number, with a no-break space."""
    return f"\N{NO-BREAK SPACE}{unit}" if unit else ""


def percent(value: float) -> str:
    """Percentage without needless decimals: ``5 %``, ``0.5 %``."""
    return f"{value:g}\N{NO-BREAK SPACE}%"


def count(value: float) -> str:
    """Parameter counts and the like: ``0``, ``950``, ``4.2 k``, ``86 M``, ``1.1 G``."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            scaled = value / limit
            return (
                f"{scaled:.0f}\N{NO-BREAK SPACE}{suffix}"
                if scaled >= 100
                else f"{scaled:.3g}\N{NO-BREAK SPACE}{suffix}"
            )
    return f"{value:g}" if value == int(value) else f"{value:.1f}"


def slice_positions(values: Iterable[str]) -> dict[str, tuple[float, str]] | None:
    """Place and label of each value of a slice column on a number line, in ascending order.

    Bare numbers stand at their value. Ranges (``6.5-20``) and numbers with a unit (``3 km/h``) stand one step apart, in
    order of their lower end. None for other texts, and where units differ.
    """
    texts = list(values)
    parsed = {text: _RANGE.fullmatch(text) for text in texts}
    if not all(parsed.values()):
        return None
    found = {text: match for text, match in parsed.items() if match}
    ordered = sorted(found, key=lambda text: (float(found[text]["low"]), text))
    units = {match["unit"] for match in found.values()}
    if len(units) > 1:
        return None
    if units <= {None} and all(match["high"] is None for match in found.values()):
        return {text: (float(text), text.replace("-", MINUS)) for text in ordered}
    return {text: (float(index), _range_label(found[text])) for index, text in enumerate(ordered)}


def _range_label(found: re.Match[str]) -> str:
    low, high, unit = found["low"], found["high"], (found["unit"] or "").replace(" ", "\N{NO-BREAK SPACE}")
    if high is not None and float(high) >= _ENDLESS:
        return f"≥\N{NO-BREAK SPACE}{low}{unit}".replace("-", MINUS)
    return (low if high is None else f"{low.replace('-', MINUS)}–{high}").replace("-", MINUS) + unit


def natural(text: str) -> list[tuple[float, str]]:
    """Sort key by the numbers in a text: 50-100 m before 100-150 m, d2 before d10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(float(part), "") if index % 2 else (-1.0, part) for index, part in enumerate(parts)]


def seconds(value: float) -> str:
    """Duration with a fitting unit."""
    for limit, suffix in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= limit:
            return f"{value / limit:.3g}\N{NO-BREAK SPACE}{suffix}"
    return "0\N{NO-BREAK SPACE}s" if value == 0 else f"{value / 1e-9:.3g}\N{NO-BREAK SPACE}ns"


def data_bytes(value: float) -> str:
    """Amount of data: ``512 B``, ``1.2 MB``, ``3.4 GB``."""
    for limit, suffix in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.3g}\N{NO-BREAK SPACE}{suffix}"
    return f"{value:.0f}\N{NO-BREAK SPACE}B"


def short_digest(digest: str) -> str:
    """First twelve hexadecimal digits of a ``sha256:…`` digest."""
    return digest.rpartition(":")[2][:12]


def part_label(budget_percent: float | None, shots: int | None) -> str:
    """Training data of a comparison group: ``10% data``, ``5-shot``."""
    return f"{shots}-shot" if budget_percent is None else f"{percent(budget_percent)} data"


def regime_label(
    regime: str, head: str | None, budget_percent: float | None, shots: int | None = None, layers: int | None = None
) -> str:
    """One comparison group in words: regime, layers, head and training data."""
    label = REGIME_LABELS.get(regime, regime)
    if layers is not None:
        label = f"{label}, last {layers} layer{'s' if layers > 1 else ''}"
    if head:
        label = f"{label} ({head})"
    # Nothing is trained zero-shot, so a budget would say nothing.
    return label if regime == "none" else f"{label} · {part_label(budget_percent, shots)}"


class Slugs:
    """File names from names: only ``[a-z0-9._-]``, one name one slug, no matter in which order they are asked for.

    ``org/model`` becomes ``org__model``. Names that would meet in one slug, also on file systems that ignore case,
    each get a piece of their own digest appended.
    """

    def __init__(self, names: Iterable[str]) -> None:
        plain = {name: self._plain(name) for name in sorted(set(names))}
        self._slugs = dict(plain)
        # A distinguished slug may meet a name that looks like it, so again with more digits until all differ.
        for digits in range(8, 65, 8):
            taken = Counter(self._slugs.values())
            for name, slug in self._slugs.items():
                if taken[slug] > 1:
                    self._slugs[name] = f"{plain[name]}-{hashlib.sha256(name.encode()).hexdigest()[:digits]}"

    @staticmethod
    def _plain(name: str) -> str:
        slug = _SAFE.sub("-", name.lower().replace("/", "__")).strip(".-")
        # A long name is cut for the file system, and then it needs its digest to stay apart from its sisters.
        if len(slug) > 80:
            slug = f"{slug[:70]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return slug or "unnamed"

    def __getitem__(self, name: str) -> str:
        return self._slugs[name]
