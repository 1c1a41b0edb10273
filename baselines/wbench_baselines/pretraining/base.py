"""What the models of this folder share: their network's size, their weights, and where they serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from torch import nn

from wbench.dataset.spec import explain_validation
from wbench.errors import SpecError
from wbench.model import ModelInfo
from wbench.task.spec import TaskSpec
from wbench.training import seeded
from wbench.training.pretext import PretextParams
from wbench.weights import fill_weights, read_weights
from wbench_baselines.neighbours import needs_channel

__all__ = ["NetworkParams", "network_of", "network_params", "serves_heads", "untrained"]

Network = TypeVar("Network", bound=nn.Module)
Params = TypeVar("Params", bound=PretextParams)


class NetworkParams(PretextParams):
    """Size of a transformer on patches.

    Attributes
    ----------
    patch : (int, int, int)
        Snapshots, antennas and subcarriers of a patch.
    width, depth, heads : int
        Of the encoder.
    """

    patch: tuple[int, int, int] = (1, 4, 4)
    width: int = Field(default=64, ge=16)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)

    @field_validator("width")
    @classmethod
    def _sixteen(cls, value: int) -> int:
        if value % 16:
            raise ValueError("the width is a multiple of 16: sine positions take quarters and eighths of it")
        return value

    @field_validator("patch")
    @classmethod
    def _positive(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(value) < 1:
            raise ValueError("a patch has at least one entry along each dimension")
        return value

    @model_validator(mode="after")
    def _divided(self) -> NetworkParams:
        if self.width % self.heads:
            raise ValueError("the heads divide the width")
        return self

    def plain(self) -> dict[str, Any]:
        """Values for ``model.toml``."""
        return self.model_dump(mode="json")


def network_params(found: type[Params], given: dict[str, Any]) -> Params:
    """A model's keyword arguments, checked (:class:`~wbench.errors.SpecError` if they are wrong)."""
    try:
        return found.model_validate(given)
    except ValidationError as error:
        why = explain_validation(error)
        raise SpecError("The network's parameters are not valid.", where="model.toml [params]", why=why) from error


def network_of(build: Callable[[], Network], weights: Path | None, name: str) -> Network:
    """The network with the weights of a file; without a file those of a fixed seed, as an untrained control."""
    network = seeded(build, 0, f"untrained {name}").eval()
    if weights is not None:
        fill_weights(network, read_weights(weights), where=str(weights))
    return network


def untrained(info: ModelInfo, weights: Path | None) -> ModelInfo:
    """The declaration of a model without weights: a control, not a foundation model."""
    if weights is not None:
        return info
    summary = f"The network of {info.name} with random weights"
    return replace(info, name=f"{info.name}-untrained", kind="control", summary=summary, pretraining=(), overlap="none")


def serves_heads(spec: TaskSpec) -> str | None:
    """Why features of a channel are of no use to a task; None if a head can answer it."""
    if spec.kind in ("classify", "regress"):
        return needs_channel(spec)
    return f"gives features for a head; the task's kind is {spec.kind}"
