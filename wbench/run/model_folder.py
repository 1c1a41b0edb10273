"""Write models as folders, which :mod:`wbench.model_folder` reads; a pre-trained one with a card of what it saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wbench.digest import value_digest
from wbench.errors import ResultError
from wbench.model_folder import FILE
from wbench.provenance import provenance
from wbench.run.pretrain_config import PretrainConfig
from wbench.saving import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from wbench.training import TrainingLog

__all__ = ["CARD", "WEIGHTS", "Outcome", "remove_description", "toml_table", "write_description", "write_folder"]

WEIGHTS, CARD = "model.safetensors", "README.md"


@dataclass(frozen=True)
class Outcome:
    """A finished pre-training.

    Attributes
    ----------
    config : PretrainConfig
        What was asked for.
    model, params : str, dict
        Class that the weights are for, and its keyword arguments.
    state : dict of str to Tensor
        The weights, on the CPU.
    sources : list of dict
        Records of what was seen (:meth:`wbench.run.pretrain_data.Source.record`).
    unclean : list of str
        Tasks whose test part may hold samples that were seen.
    log : TrainingLog
        Loss by epoch.
    seconds, device : float, str
        Training time of the last call, and what it ran on.
    """

    config: PretrainConfig
    model: str
    params: dict[str, Any]
    state: dict[str, Tensor]
    sources: list[dict[str, Any]]
    unclean: list[str]
    log: TrainingLog
    seconds: float
    device: str

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(tensor.numel() for tensor in self.state.values())

    @property
    def datasets(self) -> list[str]:
        """``recipe-size (side)`` of every source, each once."""
        return list(dict.fromkeys(f"{s['recipe']}-{s['size']} ({s['side']})" for s in self.sources))


def write_folder(folder: Path, outcome: Outcome) -> int:
    """Write the folder, ``model.toml`` last: a folder with one is whole. Gives the number of parameters.

    Raises
    ------
    ResultError
        A file cannot be written.
    """
    from wbench.weights import save_weights, weights_digest

    digest = weights_digest(outcome.state)
    metadata = {"format": "pt", "model": outcome.config.name, "config": outcome.config.digest}
    save_weights(folder / WEIGHTS, outcome.state, metadata)
    with replacing(folder / CARD, "The model") as temporary:
        temporary.write_text(_card(outcome, digest), encoding="utf-8")
    write_description(folder, {"object": outcome.model}, outcome.params, _info(outcome, digest))
    return outcome.parameters


def write_description(
    folder: Path, code: Mapping[str, Any], params: Mapping[str, Any], info: Mapping[str, Any]
) -> None:
    """Write ``model.toml``: ``code`` names the class as ``object`` or ``model``, the weights lie beside it.

    Raises
    ------
    ResultError
        It cannot be written.
    """
    text = toml_table({"api": 1, **code, "weights": WEIGHTS})
    text += "".join(f"\n[{name}]\n{toml_table(table)}" for name, table in (("params", params), ("info", info)))
    with replacing(folder / FILE, "The model") as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_description(folder: Path) -> None:
    """Remove ``model.toml``, before the weights that it describes are replaced.

    Raises
    ------
    ResultError
        It cannot be removed.
    """
    try:
        (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise ResultError("The model could not be saved.", where=str(folder / FILE), why=str(error)) from error


def _info(outcome: Outcome, digest: str) -> dict[str, Any]:
    config = outcome.config
    revision = value_digest([outcome.model, outcome.params, digest])[7:19]
    return {
        "name": config.name,
        "revision": revision,
        "kind": "foundation",
        "summary": config.summary,
        "source": config.source,
        "licence": config.licence,
        "parameters": outcome.parameters,
        "pretraining": outcome.datasets,
        "pretraining_samples": sum(int(source["samples"]) for source in outcome.sources),
        "overlap": "dataset",  # the training side of datasets that the benchmark tests on
    }


def toml_table(table: Mapping[str, Any]) -> str:
    """Lines ``key = value`` of plain values: text, numbers, booleans, lists of them, and flat tables in line."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items() if value is not None)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)  # JSON's text, numbers and booleans are TOML's
    raise TypeError(f"{type(value).__name__} is no TOML value here")


def _card(outcome: Outcome, digest: str) -> str:
    config, log = outcome.config, outcome.log
    last = log.epochs[log.best_epoch - 1]
    held = "" if last.val_loss is None else f", {last.val_loss:.4f} on held-out training samples"
    sources = [
        f"| `{s['task']}` | `{s['recipe']}` {s['size']} | {s['generator']} | {s['samples']:,} | {s['avoided']:,} | "
        f"`{s['spec_digest'][7:19]}` | `{s['ids_digest'][7:19]}` |"
        for s in outcome.sources
    ]
    epochs = [
        f"| {e.epoch} | {e.loss:.4f} | {'–' if e.val_loss is None else f'{e.val_loss:.4f}'} | {e.lr:.2e} |"
        for e in log.epochs
    ]
    unclean = ", ".join(f"`{name}`" for name in outcome.unclean) or "none"
    versions = provenance()["packages"]
    lines = [
        f"# {config.name}",
        "",
        config.summary.rstrip(".") + ".",
        "",
        "| | |",
        "|---|---|",
        f"| objective | `{config.pretext}` |",
        f"| after | {config.source or '–'} |",
        f"| parameters | {outcome.parameters:,} |",
        f"| licence of the weights | {config.licence} |",
        f"| weights | `{digest}` |",
        f"| config | `{config.digest}` |",
        f"| seed | {config.seed} |",
        f"| training | {len(log.epochs)} epochs of {config.training.batch} a step, weights of epoch {log.best_epoch}: "
        f"loss {last.loss:.4f}{held} |",
        f"| ran on | {outcome.device}, PyTorch {versions.get('torch', '?')}; last call {outcome.seconds:.0f} s |",
        "",
        "## What it has seen",
        "",
        "Inputs of the *training* side of these tasks' splits, no labels. Overlap with the benchmark: `dataset`.",
        "",
        "| split of task | dataset | generator | samples | left out | spec | ids |",
        "|---|---|---|---|---|---|---|",
        *sources,
        "",
        "*Left out*: training samples whose id is in the validation or test part of a twin dataset's tasks.",
        f"{config.holdout:.0%} of the samples were held out to follow the loss.",
        "",
        f"**Not clean for** (another cut of the same dataset, so test samples may have been seen): {unclean}.",
        "",
        "## Use",
        "",
        "    wbench evaluate --model ./THIS-FOLDER --task TASK",
        "",
        "## Loss",
        "",
        "| epoch | loss | held out | last rate |",
        "|---|---|---|---|",
        *epochs,
        "",
        "## Parameters of the objective",
        "",
        *(f"    {line}" for line in toml_table(config.params).splitlines()),
        "",
    ]
    return "\n".join(lines)
