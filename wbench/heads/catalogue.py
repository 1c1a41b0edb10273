"""Names of the heads. Their networks need PyTorch, which is imported when one is fitted."""

from __future__ import annotations

from wbench.errors import UnknownNameError
from wbench.heads.base import Head
from wbench.heads.knn import NearestHead
from wbench.heads.linear import LinearHead
from wbench.heads.trained import MlpHead, ResNetSlimHead, ResNetWideHead

__all__ = ["HEADS", "build_head"]

HEADS: dict[str, type[Head]] = {
    head.name: head for head in (LinearHead, NearestHead, MlpHead, ResNetSlimHead, ResNetWideHead)
}


def build_head(name: str) -> Head:
    """Construct a head by name."""
    if name not in HEADS:
        raise UnknownNameError("head", name, HEADS, next_step=f"--head {'|'.join(HEADS)}")
    return HEADS[name]()
