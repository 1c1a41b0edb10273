"""Names of the metrics. Looking a name up imports that metric's module; listing the names imports nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from wbench.errors import UnknownNameError

if TYPE_CHECKING:
    from wbench.metric.base import Metric

__all__ = ["get_metric", "metric_names"]

# name -> (module of this package, class). A new metric is a class with this name and a line here.
_CLASSES = {
    "auprc": ("classification", "Auprc"),
    "auroc": ("classification", "Auroc"),
    "balanced_accuracy": ("classification", "BalancedAccuracy"),
    "cdf50_m": ("position", "Cdf50"),
    "cdf67_m": ("position", "Cdf67"),
    "cdf90_m": ("position", "Cdf90"),
    "cdf95_m": ("position", "Cdf95"),
    "dba": ("beam", "Dba"),
    "f1_binary": ("classification", "F1Binary"),
    "f1_macro": ("classification", "F1Macro"),
    "mae_db": ("regression", "MaeDb"),
    "mean_m": ("position", "MeanDistance"),
    "nmse_abs_db": ("reconstruction", "NmseAbsolute"),
    "feature_nse": ("features", "FeatureNse"),
    "nmse_full_db": ("feedback", "NmseFull"),
    "nmse_median_db": ("reconstruction", "NmseMedian"),
    "nmse_mor_db": ("reconstruction", "NmseMeanOfRatios"),
    "nmse_ros_db": ("reconstruction", "NmseRatioOfSums"),
    "precoder_chordal": ("features", "PrecoderChordal"),
    "rank_error": ("features", "RankError"),
    "rho": ("feedback", "Rho"),
    "rmse_db": ("regression", "RmseDb"),
    "rsrp_loss_db": ("beam", "RsrpLoss"),
    "se_ratio": ("precoding", "SpectralEfficiencyRatio"),
    "sgcs": ("feedback", "Sgcs"),
    "top1": ("beam", "Top1"),
    "top1_of_3": ("beam", "Top1Of3"),
    "top1_of_5": ("beam", "Top1Of5"),
    "top3": ("beam", "Top3"),
    "top5": ("beam", "Top5"),
    "within_1db": ("beam", "Within1Db"),
}


def metric_names() -> tuple[str, ...]:
    """Names of all metrics, sorted."""
    return tuple(sorted(_CLASSES))


def get_metric(name: str) -> Metric:
    """Metric of that name.

    Raises
    ------
    UnknownNameError
        If there is none; near names are suggested.
    """
    if name not in _CLASSES:
        raise UnknownNameError("metric", name, _CLASSES, next_step=f"use one of {', '.join(metric_names())}")
    module, cls = _CLASSES[name]
    metric: Metric = getattr(importlib.import_module(f"wbench.metric.{module}"), cls)()
    return metric
