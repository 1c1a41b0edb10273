"""Metrics of the protocol: a table per sample and one weighted reduction of it. See :mod:`wbench.metric.base`."""

from __future__ import annotations

from wbench.metric.catalogue import get_metric, metric_names

__all__ = ["get_metric", "metric_names"]
