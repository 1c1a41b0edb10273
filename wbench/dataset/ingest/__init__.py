"""Ingest: released files of other projects as a wbench dataset, with what they do not say marked unknown."""

from wbench.dataset.ingest.engine import IngestReport, ingest
from wbench.dataset.ingest.released import RELEASED

__all__ = ["RELEASED", "IngestReport", "ingest"]
