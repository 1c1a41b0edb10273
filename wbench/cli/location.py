"""Where a dataset lies, as an argument: a folder, or a URL that must not become a path."""

from __future__ import annotations

from pathlib import Path

__all__ = ["location"]


def location(text: str) -> Path | str:
    """A folder as a path, a URL as it is; click shows the function's name as the kind of argument."""
    from wbench.dataset.place import is_url

    return text if is_url(text) else Path(text)
