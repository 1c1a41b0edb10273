"""Results as `wbench evaluate` writes them, made up here: test data for the board, never shown to anyone as results."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from wbench.result import (
    CostRecord,
    DatasetRecord,
    Interval,
    ModelRecord,
    PredictionsRecord,
    Result,
    Score,
    TaskRecord,
)
from wbench.stats.jackknife import jackknife_variance, t_interval

HOSTILE = '<script>alert("x")</script>'

# task -> (family, kind, primary, unit, higher, recipe, secondary, slice column, slice values)
TASKS: dict[str, tuple[Any, ...]] = {
    "los-nlos-umi": ("los-nlos", "classify", "f1_macro", "", True, "snap-umi", ("f1_binary", "auroc"), "snr_db", ()),
    "beam-prediction-b": (
        "beam-subarray", "classify", "within_1db", "", True, "snap-umi-ula", ("top1", "top3"), "snr_db",
        ("-10", "0", "10"),
    ),
    "csi-feedback-ratio": (
        "csi-feedback-ratio", "compress", "nmse_ros_db", "dB", False, "fb-umi", ("nmse_mor_db", "rho"), "los",
        ("0", "1"),
    ),
    "csi-feedback-bits": ("csi-feedback-bits", "compress", "sgcs", "", True, "pmi-uma", (), "", ()),
    "channel-prediction-time": (
        "channel-prediction", "reconstruct", "nmse_ros_db", "dB", False, "mob-uma", ("nmse_mor_db",), "speed_kmh",
        ("3", "10", "30", "60", "120"),
    ),
    "csinet-compat-in-4": (
        "csi-feedback-ratio", "compress", "nmse_mor_db", "dB", False, "csinet-in", ("rho",), "", (),
    ),
    "csinet-compat-in-16": (
        "csi-feedback-ratio", "compress", "nmse_mor_db", "dB", False, "csinet-in", ("rho",), "", (),
    ),
}  # fmt: skip
FIRST = tuple(TASKS)[:5]
SEASON = "0123456789ab"


def digest(text: str) -> str:
    """A digest that looks like one."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def score(
    metric: str,
    value: float,
    *,
    slice_: str = "ranked",
    unit: str = "",
    higher: bool = True,
    replicates: tuple[float, ...] = (),
    version: int = 1,
    n: int = 120,
) -> Score:
    """A score whose interval follows from its replicates, as the jackknife makes it."""
    interval = None
    if len(replicates) >= 5:
        se = float(np.sqrt(jackknife_variance(np.array(replicates))))
        low, high = t_interval(value, se, len(replicates), 0.95)
        interval = Interval(low=low, high=high, groups=len(replicates), effective_groups=len(replicates) * 0.93)
    return Score(
        metric=metric, metric_version=version, unit=unit, higher_is_better=higher, slice=slice_, value=value, n=n,
        interval=interval, replicates=replicates,
    )  # fmt: skip


def replicates_around(value: float, key: str, groups: int, size: float) -> tuple[float, ...]:
    """Leave-one-out values that the models of one task share in part, as real ones do."""
    task = np.random.default_rng(int(hashlib.sha256(key.split("|")[0].encode()).hexdigest()[:8], 16))
    if groups == 0:
        return ()
    own = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16))
    wiggle = size * (0.8 * task.standard_normal(groups) + 0.5 * own.standard_normal(groups)) / groups
    return tuple((value + wiggle - wiggle.mean()).tolist())


def result(
    task: str,
    model: str,
    value: float,
    *,
    kind: str = "classical",
    size: str = "standard",
    regime: str = "none",
    head: str | None = None,
    budget: float = 100.0,
    seed: int = 0,
    draw: int = 0,
    groups: int = 40,
    spread: float = 0.25,
    bits: float = 94.5,
    **extra: Any,
) -> Result:
    """One result. ``extra`` replaces fields: ``model_*`` of the model, ``task_*`` of the task, others directly."""
    family, task_kind, primary, unit, higher, recipe, secondary, column, values = TASKS[task]
    key = f"{task}|{model}|{regime}|{seed}|{draw}"
    scale = spread * (10 if unit == "dB" else 1)
    scores = [
        score(primary, value, unit=unit, higher=higher, replicates=replicates_around(value, key, groups, scale)),
        score(primary, value, slice_="all", unit=unit, higher=higher, n=150),
    ]
    for index, name in enumerate(secondary):
        other = value * (0.9 - 0.1 * index)
        scores.append(score(name, other, unit="dB" if name.endswith("_db") else "", higher=not name.endswith("_db")))
    for index, level in enumerate(values):
        step = (0.04 if higher else -2.0) * (index - len(values) / 2)
        around = replicates_around(value + step, f"{key}{level}", groups, scale)
        scores.append(
            score(primary, value + step, slice_=f"{column}={level}", unit=unit, higher=higher, n=40, replicates=around)
        )
    model_fields = {name[6:]: extra.pop(name) for name in list(extra) if name.startswith("model_")}
    task_fields = {name[5:]: extra.pop(name) for name in list(extra) if name.startswith("task_")}
    fields: dict[str, Any] = {
        "task": TaskRecord(
            **{
                "name": task,
                "version": 1,
                "digest": digest(task),
                "family": family,
                "kind": task_kind,
                "primary": primary,
                "size": size,
                **task_fields,
            }
        ),
        "datasets": (
            DatasetRecord(
                recipe=recipe,
                spec_digest=digest(f"spec {recipe} {size}"),
                content_digest=digest(f"bits {recipe}"),
                split_digest=digest(f"split {recipe} {size}"),
            ),
        ),
        "model": ModelRecord(
            **{"name": model, "revision": "1", "kind": kind, "trains": regime != "none", **model_fields}
        ),
        "regime": regime,
        "head": head,
        "budget_percent": budget,
        "draw": draw,
        "seed": seed,
        "n_train": int(420 * budget / 100),
        "n_val": 60,
        "n_test": 150,
        "scores": tuple(scores),
        "cost": CostRecord(
            fit_s=0.0 if regime == "none" else 1.5,
            predict_s=0.03,
            predict_samples=150,
            payload_bits_mean=bits if task_kind == "compress" else None,
            payload_bits_max=96 if task_kind == "compress" else None,
        ),
        "predictions": PredictionsRecord(path="predictions.npz", digest=digest(key), bytes=48_200),
        "provenance": {
            "wbench": "0.1.0",
            "git": {"commit": "0123abc", "dirty": False},
            "packages": {"numpy": "2.2.6", "torch": "2.13.0"},
            "machine": {"system": "Linux", "machine": "x86_64"},
            "command": ["wbench", "evaluate", "--out", "/home/someone/private"],
        },
        **extra,
    }
    return Result(**fields)


def full_board(size: str = "standard") -> list[Result]:
    """Five tasks, all kinds of models and regimes, several seeds, hostile names, absent intervals."""
    made: list[Result] = []
    for index, task in enumerate(FIRST):
        spec = TASKS[task]
        decibel = spec[3] == "dB"

        def put(name: str, level: float, task: str = task, decibel: bool = decibel, **more: Any) -> None:
            # One scale of quality for all tasks: 0 trivial … 1 perfect.
            value = -18 * level if decibel else 0.45 + 0.5 * level
            made.append(result(task, name, value, size=size, **more))

        put("wbench/zeros", 0.0, kind="trivial", model_summary="Always the same answer")
        put("wbench/hold", 0.12, kind="trivial", model_summary="The last value again")
        put("wbench/knn", 0.45, regime="full", model_summary="k nearest neighbours on |angle-delay|")
        put("wbench/wiener", 0.61 + 0.02 * index, regime="full", model_summary="Wiener filter bank",
            model_source="https://example.org/wiener", model_licence="Apache-2.0")  # fmt: skip
        if index < 3:
            put("wbench/ls", 0.3, model_summary="Least squares")
        for seed in range(3):
            put("wbench/vit-random", 0.3 + 0.02 * seed, kind="control", regime="head", head="linear", seed=seed,
                model_parameters=1_200_000, model_summary="An untrained transformer")  # fmt: skip
            put("lab/radio-foundation-base", 0.7 + 0.01 * seed - 0.05 * index, kind="foundation", regime="head",
                head="linear", seed=seed, model_parameters=86_000_000, model_pretraining=("city scenes", "UMi drops"),
                model_overlap="scenario", model_summary="Masked channel modelling, 86 M parameters")  # fmt: skip
            put("lab/radio-foundation-small", 0.69 + 0.01 * seed - 0.05 * index, kind="foundation", regime="head",
                head="linear", seed=seed, model_parameters=5_300_000, model_overlap="generator")  # fmt: skip
        put("lab/zero", 0.5, kind="foundation", model_parameters=350_000_000)
        if index in (0, 4):
            put("Org With Spaces/" + HOSTILE, 0.66, kind="user", regime="full", groups=0, model_summary=HOSTILE,
                model_source="javascript:alert(1)", model_licence="=cmd()", model_revision=HOSTILE)  # fmt: skip
    return made


def more_board() -> list[Result]:
    """Beside :func:`full_board`: training budgets, two payload limits of one family, and a hidden season."""
    made: list[Result] = []
    for task, bits, gain in (("csinet-compat-in-4", 16_384, 1.0), ("csinet-compat-in-16", 4_096, 0.5)):
        made.append(result(task, "wbench/zeros", 0.0, kind="trivial", bits=0))
        made.append(result(task, "wbench/lasso", -9.0 * gain, bits=bits))
        made.append(result(task, "lab/csinet", -17.0 * gain, kind="network", regime="full", bits=bits))
    for budget, level in ((1.0, 0.6), (10.0, 0.75)):
        for draw in range(2):
            made.append(result("los-nlos-umi", "lab/radio-foundation-base", level + draw / 50, kind="foundation",
                regime="head", head="linear", budget=budget, draw=draw, model_parameters=86_000_000,
                model_overlap="scenario"))  # fmt: skip
        made.append(result("los-nlos-umi", "wbench/knn", level - 0.1, regime="full", budget=budget))
    for name, value in (("lab/zero", 0.5), ("lab/only-hidden", 0.6)):
        made.append(result("los-nlos-umi", name, value, kind="foundation", task_season=SEASON))
    return made


def docs() -> dict[str, dict[str, Any]]:
    """What a caller adds from the registry."""
    return {
        "los-nlos-umi": {"summary": "The channel at 0 dB SNR → is there a line of sight?"},
        "beam-prediction-b": {"summary": "8 adjacent of 32 antennas → the best of 64 beams of the full array"},
        "channel-prediction-time": {
            "summary": "8 snapshots at 20 dB SNR → the next 8, 0.5 ms apart",
            "views": {"train": "mob-uma, train side", "test": "mob-uma, test side"},
            "facts": {"Noise": "20 dB SNR"},
        },
    }
