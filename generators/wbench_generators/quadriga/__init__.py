"""QuaDRiGa's 3GPP TR 38.901 channels, from the user's own copy run in GNU Octave: the generator ``quadriga``.

The way through the package, one module each:

``params``     the recipe's ``[params]`` table
``layout``     arrays and attributes of the dataset
``installed``  finds Octave and the copy of QuaDRiGa, and makes sure that it is the one that was asked for
``bridge``     one Octave process per Python process, started again when it dies
``octave/``    our Octave functions: QuaDRiGa's builder draws parameters, and its rays come back as arrays
``adapter``    clusters and rays -> the core's :class:`~wbench.channel.rays.Rays`
``power``      QuaDRiGa's power normalisation, where a recipe asks for it
``session``    a block from its users to its rays or channels

QuaDRiGa is for non-commercial use; nothing of it is part of wbench. Importing this package starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from wbench.generator import Generator, GeneratorParams, Layout, Session
from wbench_generators import external
from wbench_generators.quadriga.installed import QUADRIGA, locate, octave, require_copy
from wbench_generators.quadriga.layout import layout_of
from wbench_generators.quadriga.params import QuadrigaParams

__all__ = ["Quadriga", "QuadrigaParams"]


class Quadriga(Generator):
    """Links of QuaDRiGa on straight tracks, one link per sample, one drop per sample, downlink."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = QuadrigaParams

    def layout(self, params: QuadrigaParams) -> Layout:
        """Arrays and grids of the dataset; see :class:`wbench.generator.Generator`."""
        return layout_of(params)

    def require(self, params: QuadrigaParams) -> None:
        """Check Octave and the copy of QuaDRiGa."""
        require_copy(params.copy_digest)
        octave()

    @contextmanager
    def open(self, params: QuadrigaParams) -> Iterator[Session]:
        """Check Octave and the copy of QuaDRiGa; Octave runs until the context closes.

        Raises
        ------
        MissingDependencyError
            Octave, oct2py or QuaDRiGa is not on this machine.
        SpecError
            The copy is modified, or of another version.
        """
        from wbench_generators.quadriga.session import QuadrigaSession

        session = QuadrigaSession(params)
        try:
            yield session
        finally:
            session.close()

    def provenance(self) -> dict[str, str]:
        """Version and commit of QuaDRiGa, and oct2py's version."""
        place = locate()
        if place is None:
            return {"quadriga": "not installed", "oct2py": _version("oct2py")}
        about = external.record(place)
        digest = external.tree_digest(place, QUADRIGA.suffixes)
        return {"quadriga": f"commit {about.get('commit') or 'unknown'}, {digest}", "oct2py": _version("oct2py")}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
