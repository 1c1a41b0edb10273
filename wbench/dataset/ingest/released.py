"""What the released files of other projects hold, and how it becomes arrays of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.dataset.export.layouts import CSINET_SIDE, csinet_to_complex
from wbench.dataset.ingest.matfile import MatVariable
from wbench.dataset.schema import ArraySpec, channel_spec
from wbench.errors import DatasetError, SpecError, UnknownNameError

__all__ = ["LOS_UNKNOWN", "RELEASED", "Released"]

Arrays = dict[str, npt.NDArray[Any]]
#: Value of ``los`` where a link has a path and the source does not say which kind.
LOS_UNKNOWN = -128

_LOS = ArraySpec(
    "los",
    (),
    (),
    "int8",
    "1",
    "-1 no path (channel is 0), -128 unknown: the source does not say",
    {"unknown": LOS_UNKNOWN},
)
_COMMON_UNKNOWN = ("site", "scene", "ue_id", "ue_position", "bs_position", "ue_velocity")
_STATISTICS = ("path_gain_db", "k_factor_db", "delay_spread_s", "doppler_spread_hz")


@dataclass(frozen=True)
class Released:
    """One kind of released file.

    Attributes
    ----------
    name, summary : str
        Registry name and one line.
    candidates : tuple of str
        Variable names to look for, the most usual first.
    check : callable
        Raises :class:`SpecError` where a variable is not of the released shape.
    arrays : callable
        Arrays of the dataset for a variable.
    convert : callable
        Rows of the variable to those arrays.
    unknown : tuple of str
        Standard arrays and attributes that the source does not tell.
    about : mapping
        Attributes that the source's paper or code does tell.
    """

    name: str
    summary: str
    candidates: tuple[str, ...]
    check: Callable[[MatVariable], None]
    arrays: Callable[[MatVariable], tuple[ArraySpec, ...]]
    convert: Callable[[npt.NDArray[Any]], Arrays]
    unknown: tuple[str, ...]
    about: Mapping[str, Any]

    def find(self, variables: Mapping[str, MatVariable], wanted: str | None, where: str) -> MatVariable:
        """The variable to read: the one that was named, or the only candidate.

        Raises
        ------
        UnknownNameError
            The file has no variable of the name that was asked for.
        SpecError
            There is no candidate, or more than one, or it has another shape.
        """
        if wanted is not None and wanted not in variables:
            raise UnknownNameError("variable", wanted, variables, next_step="--variable NAME")
        found = [wanted] if wanted is not None else [name for name in self.candidates if name in variables]
        if len(found) != 1:
            held = ", ".join(f"{v.name} {list(v.shape)}" for v in variables.values()) or "no numeric variable"
            what = "holds none of" if not found else "holds more than one of"
            raise SpecError(
                f"The file {what} {', '.join(self.candidates)}.",
                where=where,
                why=f"it holds {held}",
                next_step="name the variable with --variable, or give another file",
            )
        self.check(variables[found[0]])
        return variables[found[0]]


def _wrong(kind: str, variable: MatVariable, wanted: str) -> SpecError:
    why = f"it is {list(variable.shape)} instead of {wanted}"
    return SpecError(f"The variable {variable.name!r} is not what {kind} released.", where=variable.name, why=why)


def _finite(values: npt.NDArray[Any], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise DatasetError(f"{name} is not finite.", why=f"{len(bad)} samples, the first is row {bad[0]} of its shard")


def _los(values: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    empty = ~np.any(values.reshape(len(values), -1), axis=1)
    return np.where(empty, -1, LOS_UNKNOWN).astype(np.int8)


def _check_wifo(variable: MatVariable) -> None:
    if len(variable.shape) != 4 or 0 in variable.shape:
        raise _wrong("WiFo", variable, "[N, T, antenna, K]")


def _wifo_arrays(variable: MatVariable) -> tuple[ArraySpec, ...]:
    _, time, antennas, subcarriers = variable.shape
    return (channel_spec("channel", time, 1, antennas, subcarriers), _LOS)


def _wifo(rows: npt.NDArray[Any]) -> Arrays:
    if rows.dtype.kind != "c":
        raise SpecError("WiFo's channels are complex.", why=f"the variable is {rows.dtype}")
    _finite(rows, "The channel")
    channel = np.ascontiguousarray(rows[:, :, None], dtype=np.complex64)
    return {"channel": channel, "los": _los(channel)}


def _check_csinet(variable: MatVariable) -> None:
    if len(variable.shape) != 2 or variable.shape[1] != 2 * CSINET_SIDE**2 or not variable.shape[0]:
        raise _wrong("CsiNet", variable, "[N, 2048]")


def _csinet_arrays(_: MatVariable) -> tuple[ArraySpec, ...]:
    side = CSINET_SIDE
    image = "truncated channel: delay rows 0 to 31, 32 angles of a linear array (2-D DFT)"
    return (
        ArraySpec("csi_delay_angle", ("delay", "antenna"), (side, side), "complex64", "1", image),
        ArraySpec(
            "energy_cut",
            (),
            (),
            "float32",
            "1",
            "share of the energy beyond the delay rows",
            {"missing": "NaN: unknown, the source has only the rows that were kept"},
        ),
        _LOS,
    )


def _csinet(rows: npt.NDArray[Any]) -> Arrays:
    if rows.dtype.kind == "c":
        raise SpecError("CsiNet's matrix HT is real.", why=f"the variable is {rows.dtype}")
    _finite(rows, "HT")
    low, high = float(rows.min()), float(rows.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise SpecError("CsiNet's matrix HT lies in [0, 1].", why=f"it runs from {low:g} to {high:g}")
    image = csinet_to_complex(rows)
    cut = np.full(len(rows), np.nan, dtype=np.float32)
    return {"csi_delay_angle": image, "energy_cut": cut, "los": _los(image)}


RELEASED: dict[str, Released] = {
    kind.name: kind
    for kind in (
        Released(
            "wifo",
            "WiFo's X_train.mat, X_val.mat and X_test.mat",
            ("X_val", "X_test", "X_train"),
            _check_wifo,
            _wifo_arrays,
            _wifo,
            ("los", *_COMMON_UNKNOWN, *_STATISTICS, "carrier_hz", "radio", "channel_scale"),
            {"paper": "arXiv 2412.08908", "simulator": {"QuaDRiGa": "version unknown"}},
        ),
        Released(
            "csinet",
            "CsiNet's DATA_Htrainin.mat and its sisters (the matrix HT)",
            ("HT",),
            _check_csinet,
            _csinet_arrays,
            _csinet,
            (
                "los",
                "energy_cut",
                *_COMMON_UNKNOWN,
                *_STATISTICS,
                "carrier_hz",
                "radio",
                "channel_scale",
                "environment",
            ),
            {"paper": "arXiv 1712.08919", "simulator": {"COST 2100": "version unknown"}},
        ),
    )
}
