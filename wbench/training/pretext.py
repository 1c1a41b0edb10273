"""What a foundation model learns from samples without labels: a network, and a loss that needs no target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wbench.dataset.spec import explain_validation
from wbench.errors import SpecError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["Pretext", "PretextParams"]


class PretextParams(BaseModel):
    """Base of a pretext's parameters: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pretext(ABC):
    """A self-supervised objective, named by a pre-training config as ``package.module:Class``.

    Parameters
    ----------
    params : mapping
        The config's ``[params]``, checked by :attr:`Params`.
    """

    Params: ClassVar[type[PretextParams]] = PretextParams
    #: ``channel``: complex64 ``"H"`` [n, time, rx, tx, subcarrier] as the dataset holds it, clean and not scaled.
    #: ``inputs``: all arrays that the source's task shows a model.
    reads: ClassVar[Literal["channel", "inputs"]] = "channel"
    #: The model that is constructed with the weights, ``package.module:Class``.
    model: ClassVar[str]

    def __init__(self, params: Mapping[str, Any]) -> None:
        try:
            self.params: Any = self.Params.model_validate(dict(params))
        except ValidationError as error:
            why = explain_validation(error)
            raise SpecError("The pretext's parameters are not valid.", where="[params]", why=why) from error

    @abstractmethod
    def build(self) -> nn.Module:
        """The network; its weights are drawn from PyTorch's default generator, which the caller has seeded."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Mean loss over samples of one source.

        Parameters
        ----------
        network : nn.Module
            What :meth:`build` made, or its compiled form: call it, do not look into it.
        batch : mapping of str to Tensor
            Arrays [n, …] as :attr:`reads` says, on the network's device.
        generator : torch.Generator
            Source of all random numbers of the step, on the same device.
        """

    @abstractmethod
    def model_params(self) -> dict[str, Any]:
        """Keyword arguments that :attr:`model` is constructed with, beside its weights: plain TOML values."""
