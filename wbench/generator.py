"""The generator contract: a simulator turns a block of sample ids into rays or arrays.

The *engine* (``wbench.run.generate``) owns everything else: it synthesises channels from rays, derives statistics,
validates, writes and resumes. The example to copy is ``wbench_generators.plane_wave``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from wbench import seeding
from wbench.channel.array import Array
from wbench.channel.rays import Rays
from wbench.channel.synthesis import Grid
from wbench.dataset.schema import ArraySpec

__all__ = ["Arrays", "Block", "Generator", "GeneratorParams", "Layout", "Session", "Synthesis"]

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Block:
    """The unit of simulation and of bits: any block can be made alone, in any order, to the same bits.

    Attributes
    ----------
    index : int
        Number of the block in the dataset.
    samples : range
        Sample ids of the block. All blocks of a dataset have the spec's block size, the last one may be shorter.
    root : int
        Root seed of the dataset.
    """

    index: int
    samples: range
    root: int

    def __len__(self) -> int:
        return len(self.samples)

    def seed(self, purpose: str, *key: int) -> np.random.SeedSequence:
        """Seed of a purpose in this block; with ``key=(site,)`` it is shared by all blocks of that site instead."""
        return seeding.seed_sequence(self.root, purpose, *(key or (self.index,)))

    def rng(self, purpose: str, *key: int) -> np.random.Generator:
        """NumPy generator on :meth:`seed`."""
        return np.random.Generator(np.random.PCG64(self.seed(purpose, *key)))


class GeneratorParams(BaseModel):
    """Base of a generator's parameters: unknown fields, NaN and infinity are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Synthesis:
    """How the engine turns a block's rays into channel arrays.

    Attributes
    ----------
    tx, rx : Array
        Antenna arrays, shared by all samples. Per-sample orientations come as the arrays ``tx_orientation`` and
        ``rx_orientation`` (float32 [n, 3], rad) of a session and replace ``Array.orient``.
    bands : mapping of str to Grid
        Name of each channel array (``"channel"``, ``"channel_480khz"`` …) and its subcarrier grid.
    time_steps : int
        Number of snapshots.
    time_step_s : float
        Distance of two snapshots in s (0 for a single snapshot).
    """

    tx: Array
    rx: Array
    bands: Mapping[str, Grid]
    time_steps: int = 1
    time_step_s: float = 0.0


@dataclass(frozen=True)
class Layout:
    """What a generator writes for given parameters, known without running the simulator.

    Attributes
    ----------
    arrays : tuple of ArraySpec
        The arrays a session returns itself, besides the channels that ``synthesis`` describes.
    synthesis : Synthesis or None
        None where the session returns channel arrays directly.
    attributes : mapping
        Plain JSON values for the dataset's attributes: definition of LoS, conventions, licence of the data.
    """

    arrays: tuple[ArraySpec, ...]
    synthesis: Synthesis | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Session(ABC):
    """An open simulator. One per process; used for many blocks."""

    @abstractmethod
    def simulate(self, block: Block) -> tuple[Rays | None, Arrays]:
        """Simulate one block.

        Returns
        -------
        rays : Rays or None
            Rays of the ``len(block)`` links, where the layout has a synthesis.
        arrays : dict of str to ndarray
            The layout's own arrays, first dimension ``len(block)``.

        Notes
        -----
        Must depend on the block and the parameters only: not on earlier blocks, the process or global random state.
        """


class Generator(ABC):
    """A simulator behind wbench's one interface."""

    #: Raised whenever any number can change; part of the spec digest.
    version: ClassVar[int]
    #: Pydantic model of the recipe's ``[params]`` table.
    Params: ClassVar[type[GeneratorParams]]
    #: Whether another kind of processor makes the same data but for rounding. Where it does not, no fingerprint is
    #: shipped, and a submission whose scores cannot be met again on such data is not refused for it.
    portable: ClassVar[bool] = True

    @abstractmethod
    def layout(self, params: Any) -> Layout:
        """Arrays, grids and attributes for these parameters, without importing the simulator."""

    @abstractmethod
    def open(self, params: Any) -> AbstractContextManager[Session]:
        """Start the simulator; a context manager that yields one :class:`Session`."""

    def require(self, params: Any) -> None:  # noqa: B027 - a hook, which generators without needs leave as it is
        """Raise :class:`~wbench.errors.MissingDependencyError` if the simulator is not usable here.

        Called before a new dataset is laid out, so that nothing half-made is left where it cannot be filled. What is
        cheap to check is checked; :meth:`open` raises the same for the rest. Nothing is checked by default.
        """

    def provenance(self) -> dict[str, str]:
        """Names and versions of the simulator packages, for the dataset's attributes."""
        return {}
