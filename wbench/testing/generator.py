"""Conformance of generators: the layout is the truth, and blocks are bit-exact alone and in any order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from wbench.generator import Arrays, Block, Generator, Layout, Session
from wbench.run.executors import one_thread
from wbench.run.generate import array_specs, simulate_block
from wbench.testing.suite import Suite, require, same

__all__ = ["GeneratorSuite"]


class GeneratorSuite(Suite):
    """Subclass it and set ``generator`` and ``params``.

    Attributes
    ----------
    generator : type of Generator
        The class under test.
    params : mapping
        Parameters as in a recipe, small ones.
    block : int
        Samples per block.
    """

    generator: ClassVar[type[Generator]]
    params: ClassVar[Mapping[str, Any]] = {}
    block: ClassVar[int] = 8

    def _open(self) -> tuple[Layout, Any]:
        generator = self.generator()
        params = generator.Params.model_validate(dict(self.params))
        return generator.layout(params), generator.open(params)

    def _block(self, index: int, root: int = 7) -> Block:
        return Block(index, range(index * self.block, (index + 1) * self.block), root)

    def _simulate(self, session: Session, layout: Layout, index: int, root: int = 7) -> Arrays:
        with one_thread():
            return simulate_block(layout, session, self._block(index, root))

    def test_layout_is_true(self) -> None:
        """A block has exactly the arrays, shapes and dtypes of the layout, and finite channels."""
        layout, opening = self._open()
        with opening as session:
            arrays = self._simulate(session, layout, 0)  # the engine's own check raises on any difference
        require(any(np.iscomplexobj(a) for a in arrays.values()), "the block has no channel array")
        require("los" in arrays and "site" in arrays, "the arrays 'los' and 'site' are needed by tasks")

    def test_same_block_same_bits(self) -> None:
        """A block made twice, after another one, and in a fresh session has the same bits."""
        layout, opening = self._open()
        with opening as session:
            first = self._simulate(session, layout, 1)
            self._simulate(session, layout, 0)
            again = self._simulate(session, layout, 1)
        _, opening = self._open()
        with opening as session:
            fresh = self._simulate(session, layout, 1)
        for name in first:
            require(same(first[name], again[name]), f"{name} depends on the blocks that were made before")
            require(same(first[name], fresh[name]), f"{name} depends on the session")

    def test_blocks_and_seeds_differ(self) -> None:
        """Two blocks, and two root seeds, give different channels."""
        layout, opening = self._open()
        with opening as session:
            arrays = [self._simulate(session, layout, *key) for key in ((0, 7), (1, 7), (0, 8))]
        for name, values in arrays[0].items():
            if np.iscomplexobj(values):
                require(not same(values, arrays[1][name]), f"{name} is the same in two blocks")
                require(not same(values, arrays[2][name]), f"{name} does not depend on the seed")

    def test_short_block(self) -> None:
        """The last block of a dataset may be shorter."""
        layout, opening = self._open()
        with opening as session, one_thread():
            arrays = simulate_block(layout, session, Block(3, range(3 * self.block, 3 * self.block + 3), 7))
        require(all(len(values) == 3 for values in arrays.values()), "a short block has a wrong length")

    def test_no_global_random_state(self) -> None:
        """Simulating changes and reads no global NumPy random state."""
        before = repr(np.random.get_state(legacy=False)["state"]["key"].tobytes())  # noqa: NPY002
        layout, opening = self._open()
        with opening as session:
            self._simulate(session, layout, 0)
        after = repr(np.random.get_state(legacy=False)["state"]["key"].tobytes())  # noqa: NPY002
        require(before == after, "the simulation draws from NumPy's global random state")

    def test_units_and_descriptions(self) -> None:
        """Every array states a unit and what it is."""
        layout, _ = self._open()
        for spec in array_specs(layout):
            require(bool(spec.unit and spec.description), f"{spec.name} has no unit or no description")
            require(
                len(spec.dims) == len(spec.shape), f"{spec.name}: {len(spec.dims)} names for {len(spec.shape)} dims"
            )
