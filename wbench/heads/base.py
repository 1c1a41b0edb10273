"""What a head is: a predictor on features, trained by the harness."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.task.batch import Truth
from wbench.tuning import Search

__all__ = ["Features", "Head"]

#: Pooled features float64 [n, d], or tokens float32 [n, token, d].
Features = npt.NDArray[Any]


class Head(ABC):
    """A predictor on features.

    Attributes
    ----------
    name : str
        Registry name.
    summary : str
        One line for ``wbench list heads``.
    pools : bool
        Whether it wants one vector per sample, float64 [n, d]; else it gets the tokens, float32 [n, token, d].
    stochastic : bool
        Whether fitting depends on the seed; then several seeds are worth running.
    version : int
        Raised whenever its predictions can change.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    pools: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    version: ClassVar[int] = 1

    #: What :meth:`fit` chose on validation, and from what; empty of a head that chooses nothing.
    searches: Sequence[Search] = ()

    @abstractmethod
    def fit(self, train: tuple[Features, Truth], val: tuple[Features, Truth], classes: int | None, seed: int) -> None:
        """Fit; ``classes`` is None for regression."""

    @abstractmethod
    def predict(self, features: Features) -> npt.NDArray[np.float64]:
        """Scores [n, classes] or outputs [n, m]. Those of a sample do not depend on the others."""

    @abstractmethod
    def count_parameters(self) -> int:
        """Number of fitted parameters."""
