"""Which cells an evaluation has on a task: models × regimes × heads × training parts × draws × seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wbench.errors import UsageError, WBenchError
from wbench.heads import HEADS, TUNED_HEADS, build_head
from wbench.model import Embedder, Model, Predictor
from wbench.run.cell import Cell
from wbench.run.features import Kind, kind_of
from wbench.task.spec import Kind as TaskKind

__all__ = ["DRAWS", "DRAWS_BELOW_PERCENT", "REGIMES", "SHOT_DRAWS", "Regimes", "Request", "cells_of", "make_request"]

#: Budgets below this percentage have five draws, few-shot parts ten (protocol).
DRAWS_BELOW_PERCENT = 25.0
DRAWS, SHOT_DRAWS = 5, 10
#: Kinds of tasks that heads answer.
HEAD_KINDS: tuple[TaskKind, ...] = ("classify", "regress")

Regimes = Literal["head", "fine-tune", "full"]
REGIMES: tuple[Regimes, ...] = ("head", "fine-tune", "full")


@dataclass(frozen=True)
class Request:
    """What is asked of every model that can do it.

    Attributes
    ----------
    heads : tuple of str
        Heads of embedders.
    regimes : tuple of {"head", "fine-tune", "full"}
        What becomes of embedders: frozen, tuned, or trained from random weights.
    layers : int or None
        Fine-tune the last so many layers only.
    budgets : tuple of float, or None
        Training parts in percent; None for those that each task ranks.
    shots : tuple of int
        Training parts of so many samples of every class.
    draws, seeds : int
        Draws of each part (None for those of the protocol), and training seeds.
    """

    heads: tuple[str, ...]
    regimes: tuple[Regimes, ...]
    layers: int | None
    budgets: tuple[float, ...] | None
    shots: tuple[int, ...]
    draws: int | None
    seeds: int

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Features that the heads on frozen embedders want."""
        frozen = self.heads if "head" in self.regimes else ()
        return tuple(sorted({kind_of(HEADS[head]) for head in frozen}))

    def ways(self) -> Iterator[tuple[str, Regimes]]:
        """Head and regime of an embedder; heads that are not trained by gradients are not fine-tuned with."""
        for regime in self.regimes:
            for head in self.heads:
                if regime == "head" or head in TUNED_HEADS:
                    yield head, regime

    def parts(self, ranked: Sequence[float]) -> Iterator[tuple[float, int | None, int]]:
        """Budget, shots and number of draws of each training part, for a task that ranks these budgets."""
        for budget in ranked if self.budgets is None else self.budgets:
            default = DRAWS if budget < DRAWS_BELOW_PERCENT else 1
            yield budget, None, 1 if budget == 100 else self.draws or default
        for shots in self.shots:
            yield 100.0, shots, self.draws or SHOT_DRAWS


def make_request(
    *,
    head: str | Sequence[str],
    regime: str | Sequence[str],
    layers: int | None,
    budgets: Sequence[float] | Literal["ranked"] | None,
    shots: Sequence[int],
    draws: int | None,
    seeds: int,
) -> Request:
    """Check what is asked for; arguments as those of :func:`wbench.evaluate`.

    Raises
    ------
    UsageError, UnknownNameError
        A number is out of range, or a head or regime does not exist or does not go with the others.
    """
    if seeds < 1 or (draws is not None and draws < 1):
        raise UsageError("Seeds and draws are counts from 1 on.", next_step="--seeds 3")
    percents = None if budgets == "ranked" else tuple(dict.fromkeys(map(float, budgets or (() if shots else (100.0,)))))
    wrong = [percent for percent in percents or () if not 0 < percent <= 100]
    if wrong:
        raise UsageError("A budget is a percentage in (0, 100].", why=f"got {wrong}", next_step="--budget 10")
    if any(one < 1 for one in shots):
        raise UsageError("Shots are counts from 1 on.", why=f"got {min(shots)}", next_step="--shots 10")
    regimes = tuple(found for found in REGIMES if found in _several(regime))
    if len(regimes) < len(set(_several(regime))) or not regimes:
        raise UsageError("Embedders have the regimes head, fine-tune and full.", why=f"got {regime!r}")
    if layers is not None and "fine-tune" not in regimes:
        raise UsageError("Layers belong to fine-tuning.", next_step="--regime fine-tune --layers 2")
    if layers is not None and layers < 1:
        raise UsageError("Layers are a count from 1 on.", why=f"got {layers}", next_step="--layers 2")
    heads = tuple(dict.fromkeys(_several(head))) or ("linear",)
    for name in heads:
        build_head(name)
    if {"fine-tune", "full"} & set(regimes) and not set(heads) & set(TUNED_HEADS):
        why = f"{', '.join(heads)} is not trained by gradients"
        step = f"--head {'|'.join(TUNED_HEADS)}"
        raise UsageError("This head cannot be fine-tuned with.", why=why, next_step=step)
    return Request(heads, regimes, layers, percents, tuple(dict.fromkeys(shots)), draws, seeds)


def _way(reference: str, head: str, regime: Regimes, request: Request) -> Cell:
    layers = request.layers if regime == "fine-tune" else None
    return Cell(reference, head, tune=regime != "head", scratch=regime == "full", layers=layers)


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def cells_of(
    reference: str,
    model: Model | WBenchError,
    request: Request,
    ranked: Sequence[float] = (100.0,),
    kind: TaskKind = "classify",
) -> Iterator[Cell]:
    """The cells of a model on a task that ranks these budgets, in the order in which they are best run.

    What cells share comes in a row. An embedder that is a predictor too answers by itself where no head can.
    """
    if isinstance(model, WBenchError):
        yield Cell(reference)
        return
    embeds = isinstance(model, Embedder) and (kind in HEAD_KINDS or not isinstance(model, Predictor))
    ways: list[Cell] = [Cell(reference)]
    if embeds:
        ways = [_way(reference, head, regime, request) for head, regime in request.ways()]
    for how in ways:
        drawn = model.info.stochastic or how.tune or (how.head is not None and HEADS[how.head].stochastic)
        parts = request.parts(ranked) if embeds or model.info.trains else [(100.0, None, 1)]
        for budget, shots, draws in parts:
            for draw in range(draws):
                for seed in range(request.seeds if drawn else 1):
                    yield replace(how, budget=budget, shots=shots, draw=draw, seed=seed)
