"""Texts and names of strangers: what is refused because it does not look like what it is."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from wbench_leaderboard.submission.limits import MAX_TEXT

__all__ = ["card_fault", "looks_like", "source_fault", "text_fault", "value_fault"]

# Seen as nothing, though their categories are those of letters and marks: fillers, joiners, variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Control, format (bidirectional controls, zero width), surrogate, private, unassigned, line and paragraph separators.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = 3


def text_fault(text: str, *, lines: bool = False, most: int = MAX_TEXT) -> str | None:
    """What is wrong with a text, None if nothing: too long, characters that hide or reorder, not in normal form.

    ``lines`` allows line ends and tabs.
    """
    if len(text) > most:
        return f"a text of {len(text)} characters, the limit is {most}"
    if text.isascii() and text.isprintable():
        return None
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if lines and character in "\n\t":
            continue
        if category in _REFUSED or _INVISIBLE.match(character):
            return f"the character U+{ord(character):04X} hides or reorders text"
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > _MARKS:
            return f"more than {_MARKS} marks on one letter"
    return None if unicodedata.is_normalized("NFC", text) else "a text that is not in Unicode normal form C"


# What a renderer of Markdown may take for HTML, or for an address that runs something. Nothing is stripped and then
# looked at: whoever renders it may read it in another way than we would.
# An even number of backslashes escapes itself and nothing behind.
_HTML = re.compile(r"(?<!\\)(?:\\\\)*(<(?!https?://)[A-Za-z/!?]|&(?:#|[A-Za-z]{2,40};))")
_RUNS = re.compile(r"(?:javascript|vbscript)\s*:|data:[a-z]+/|file:/", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_USER = re.compile(r"https?://[^\s/)>\]]*@", re.IGNORECASE)


def card_fault(text: str) -> str | None:
    """What is wrong with a model card, None if nothing: it is Markdown without HTML, and its links are plain https."""
    html = _HTML.search(text)
    if html:
        found = text[html.start(1) : html.start(1) + 20]
        return f"HTML at {found!r}: a card is plain Markdown; put a space behind < and &"
    runs = _RUNS.search(text)
    if runs:
        return f"{runs[0]!r}: links of a card are https"
    return "a link with a user in front of its host" if _USER.search(text) else None


def source_fault(text: str) -> str | None:
    """What is wrong with a source or a pre-training set, None if nothing: words, and plain http(s) addresses in them.

    Nothing else is ever made a link (:func:`wbench_leaderboard.links.outside_link`), so ``hf:lab/net`` is a word.
    """
    runs = _RUNS.search(text)
    if runs:
        return f"{runs[0]!r}: give an address that begins with https://"
    for address in _ADDRESS.findall(text):
        try:
            parts = urlsplit(address)
            host, named = parts.hostname, parts.username is not None or parts.password is not None
        except ValueError:
            return "an address in it is not one"
        if parts.scheme not in ("https", "http") or not host or named:
            return "an address in it begins with https:// and a host, without user"
    return None


def value_fault(value: Any, path: str = "") -> str | None:
    """The first fault in the texts, keys and numbers of a JSON value, with its place."""
    for place, item in _leaves(value, path):
        if isinstance(item, str):
            fault = text_fault(item)
        elif isinstance(item, float):
            fault = None if math.isfinite(item) else "a number that is not finite"
        elif isinstance(item, int) and not isinstance(item, bool):
            fault = None if abs(item) < 2**53 else "a whole number beyond 2^53"
        else:
            fault = None
        if fault:
            return f"{place or 'the value'}: {fault}"
    return None


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"a key of {path or 'the table'}", key
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def looks_like(name: str) -> str:
    """What a name looks like at a glance: two names with the same answer are taken for one another.

    Names are ASCII already (:mod:`.layout`), so only letters, digits and signs of that alphabet can be confused.
    """
    text = name.casefold().replace("rn", "m").replace("vv", "w").replace("_", "-")
    return text.translate(str.maketrans("0158", "olsb")).replace("i", "l")
