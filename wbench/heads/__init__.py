"""Heads: the harness trains them on frozen features, so that features are compared, not heads.

Every head has one fixed recipe, the same for all embedders and tasks. ``linear``, ``knn`` and ``mlp`` see one vector
per sample (the mean of the tokens, or what :meth:`wbench.model.Embedder.pool` says), ``resnet1d-slim`` and
``resnet1d-wide`` the sequence of tokens. :class:`FineTuned` trains the embedder's own weights as well. A new head is a
:class:`Head` and a line in :mod:`wbench.heads.catalogue`.
"""

from __future__ import annotations

from wbench.heads.base import Head
from wbench.heads.catalogue import HEADS, build_head
from wbench.heads.finetune import TUNED_HEADS, FineTuned
from wbench.heads.knn import NearestHead
from wbench.heads.linear import LOGISTIC_C, RIDGE_ALPHA, LinearHead
from wbench.heads.probe import Probe

__all__ = [
    "HEADS",
    "LOGISTIC_C",
    "RIDGE_ALPHA",
    "TUNED_HEADS",
    "FineTuned",
    "Head",
    "LinearHead",
    "NearestHead",
    "Probe",
    "build_head",
]
