"""Ray-traced channels of Sionna RT: the generator ``sionna-rt``.

The way through the package, one module each:

``params``       the recipe's ``[params]`` table
``layout``       arrays and attributes of the dataset
``llvm``         finds an LLVM library that works, in another process
``scenes``       loads built-in scenes, street grids and users' own; what is outdoors in them
``street_grid``  the geometry of the procedural cities
``placement``    where base stations and users are (own random streams)
``solver``       Sionna RT's path solver: one search for all carriers, overflow detected
``adapter``      paths -> the core's :class:`~wbench.channel.rays.Rays`
``session``      a block from its users to its labels and channels

Importing this package imports neither Sionna RT, Mitsuba nor Dr.Jit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from wbench.generator import Generator, GeneratorParams, Layout, Session
from wbench_generators.sionna_rt.layout import layout_of
from wbench_generators.sionna_rt.params import RtParams

__all__ = ["RtParams", "SionnaRt"]


class SionnaRt(Generator):
    """Links between base stations and outdoor users in ray-traced scenes, one link per sample, downlink."""

    version: ClassVar[int] = 1
    Params: ClassVar[type[GeneratorParams]] = RtParams
    #: Rounding decides which scattered paths are found: with AVX2 kernels instead of AVX-512 one link in eleven differs
    #: by more than −50 dB at 3.5 GHz (docs/reproducibility.md).
    portable: ClassVar[bool] = False

    def layout(self, params: RtParams) -> Layout:
        """Arrays and grids of the dataset; see :class:`wbench.generator.Generator`."""
        return layout_of(params)

    def require(self, params: RtParams) -> None:
        """Check that there is an LLVM library that Sionna RT can use."""
        from wbench_generators.sionna_rt.llvm import require_llvm

        require_llvm()

    @contextmanager
    def open(self, params: RtParams) -> Iterator[Session]:
        """Check LLVM, import Sionna RT and load scenes as blocks need them.

        Raises
        ------
        MissingDependencyError
            Without Sionna RT or an LLVM library that it can use.
        """
        from wbench_generators.sionna_rt.session import RtSession

        yield RtSession(params)

    def provenance(self) -> dict[str, str]:
        """Versions of Sionna RT, Mitsuba and Dr.Jit."""
        return {name: _version(name) for name in ("sionna-rt", "mitsuba", "drjit")}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
