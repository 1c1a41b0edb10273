"""What published models share: where their weights come from, and what is said when they are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError, UsageError
from wbench.weights import fill_weights, read_weights, rename_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module")

__all__ = ["Published", "in_full_passes", "loaded"]


@dataclass(frozen=True)
class Published:
    """Where the weights of a model come from.

    Attributes
    ----------
    name : str
        Registry name of the model that reads them.
    home : str
        Who publishes them, and where.
    file : str
        Name of the file there.
    folder : str
        Name of the model folder in the advice.
    prefixes : mapping of str to str
        How names in the file become ours (:func:`~wbench.weights.rename_weights`).
    unused : tuple of str
        Beginnings of (our) names of weights in the file that are not needed, whether they are there or not.
    marks : tuple of str
        Beginnings of (our) names without which it is another model's file.
    """

    name: str
    home: str
    file: str
    folder: str
    prefixes: Mapping[str, str]
    unused: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    def read(self, weights: Path | str | None) -> dict[str, Tensor]:
        """Weights by our names, without those that are not used.

        Raises
        ------
        UsageError
            There are none: the error says which file to get, and how to name it.
        MissingError, ModelError
            The file is absent, damaged or holds something else.
        """
        if weights is None:
            raise self.needed()
        state = rename_weights(read_weights(weights), self.prefixes)
        lacks = [mark for mark in self.marks if not any(name.startswith(mark) for name in state)]
        if lacks:
            why = f"nothing in it is called {', '.join(mark + '…' for mark in lacks)}"
            raise ModelError(f"These are no weights of {self.name}.", where=str(weights), why=why)
        return {name: tensor for name, tensor in state.items() if not name.startswith(self.unused)}

    def needed(self) -> UsageError:
        """The error of a model that was asked for without weights."""
        table = "\n".join(
            (
                f"      {self.folder}/{self.file}",
                f"      {self.folder}/model.toml:",
                "          api = 1",
                f'          model = "{self.name}"',
                f'          weights = "{self.file}"',
            )
        )
        return UsageError(
            f"{self.name} comes without weights.",
            why=f"they are not ours to pass on; {self.file} is published by {self.home}",
            next_step=f"make a folder of two files and name it, --model ./{self.folder} (see docs/published-models.md)"
            f"\n{table}",
        )


def loaded(build: Callable[[], Network], state: Mapping[str, Tensor], where: str) -> Network:
    """A network with these weights, in eval mode; nothing is drawn from PyTorch's random numbers.

    Raises
    ------
    ModelError
        Names or shapes differ.
    """
    import torch

    with torch.device("meta"):  # no storage yet
        network = build()
    fill_weights(network, state, where=where)
    return network.eval()


def in_full_passes(values: npt.NDArray[np.float32], size: int) -> Iterable[tuple[Tensor, int]]:
    """Parts of exactly ``size`` samples, the last one filled with zeros, and how many of them are real.

    Every matrix product has one size then, and a sample's answer is the same bits in whatever batch it comes.
    """
    import torch

    for start in range(0, len(values), size):
        part = values[start : start + size]
        fill = np.zeros((size - len(part), *values.shape[1:]), dtype=values.dtype)
        yield torch.from_numpy(np.concatenate([part, fill])), len(part)
