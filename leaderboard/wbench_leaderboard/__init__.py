"""The leaderboard: rank results and publish them as a static site.

:func:`build_site` is what ``wbench leaderboard build`` runs. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wbench_leaderboard.site import build_site

__all__ = ["build_site"]


def __getattr__(name: str) -> Any:
    if name != "build_site":
        raise AttributeError(f"module 'wbench_leaderboard' has no attribute {name!r}")
    from wbench_leaderboard.site import build_site

    return build_site
