"""Lossy storage of channels with a stated error: rounded mantissas, or float16 with a scale for each sample.

What is stored is a pure function of the channel, so digests of the stored bits hold across machines as those of the
channel do. Reading decodes to complex64; the *rounded* kind is complex64 already and reads the same everywhere.

Source: Klöwer et al., "Compressing atmospheric data into its real information content", Nat. Comput. Sci. 2021 (bit
rounding before a bit-shuffled lossless codec).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wbench.dataset.direct import read_rows
from wbench.dataset.schema import ArraySpec
from wbench.errors import SimulationError

__all__ = [
    "MANTISSA_BITS",
    "NMSE_LIMIT_DB",
    "DecodedArray",
    "about",
    "achieved",
    "compressors",
    "decode",
    "encode",
    "stored_specs",
]

Complex = npt.NDArray[np.complex64]

#: No sample may lose more than this.
NMSE_LIMIT_DB: Final = -60.0
#: Explicit mantissa bits of "rounded". No number changes by more than 2⁻¹⁰ of itself, which is −60.2 dB whatever the
#: sample. Another number of bits is another storage with a name of its own: the spec digest holds the name only.
MANTISSA_BITS: Final = 9


def _lossy(array: ArraySpec) -> bool:
    return array.dtype == "complex64"


def stored_specs(storage: str, arrays: Iterable[ArraySpec]) -> list[ArraySpec]:
    """The arrays as they lie in the store.

    Parameters
    ----------
    storage : {"lossless", "rounded", "float16"}
        The spec's storage.
    arrays : iterable of ArraySpec
        The arrays as they are read.

    Returns
    -------
    list of ArraySpec
        With ``float16``, a channel has a last dimension (real, imag), and its scales lie in ``NAME_scale``.
    """
    out = []
    for array in arrays:
        if storage != "float16" or not _lossy(array):
            out.append(array)
            continue
        scale = f"{array.name}_scale"
        note = {"scale_array": scale, "comment": f"the channel is (real + j imag) times {scale} of the sample"}
        shape, dims, more = (*array.shape, 2), (*array.dims, "part"), {**array.attributes, **note}
        out.append(ArraySpec(array.name, dims, shape, "float16", array.unit, array.description, more))
        what = f"power of two that {array.name} is to be multiplied with"
        out.append(ArraySpec(scale, (), (), "float32", "1", what, {"scale_of": array.name}))
    return sorted(out, key=lambda array: array.name)


def compressors(storage: str, array: ArraySpec) -> Any:
    """The array's compressor, as zarr wants it: only rounded mantissas have runs of zero bits to find."""
    if storage != "rounded" or not _lossy(array):
        return None
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=4)


def about(storage: str) -> dict[str, Any]:
    """Group attributes of a dataset of that storage: none for lossless."""
    if storage == "lossless":
        return {}
    bits = {"mantissa_bits": MANTISSA_BITS} if storage == "rounded" else {}
    return {"storage": {"kind": storage, "nmse_limit_db": NMSE_LIMIT_DB, **bits}}


def encode(
    storage: str, arrays: Mapping[str, npt.NDArray[Any]]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, dict[str, Any]]]:
    """What to store of some samples, and the error of each lossy array.

    Parameters
    ----------
    storage : {"lossless", "rounded", "float16"}
        The spec's storage.
    arrays : mapping of str to ndarray [n, …]
        The arrays as they are read.

    Returns
    -------
    stored : dict of str to ndarray
        Arrays of :func:`stored_specs`.
    errors : dict of str to dict
        By lossy array ``samples`` (that are not zero), ``nmse_db`` (mean of the samples' ratios) and
        ``nmse_worst_db``; None where nothing was lost.

    Raises
    ------
    SimulationError
        If a sample loses more than :data:`NMSE_LIMIT_DB`, or is not finite.
    """
    stored: dict[str, npt.NDArray[Any]] = {}
    errors: dict[str, dict[str, Any]] = {}
    for name, values in arrays.items():
        if storage == "lossless" or values.dtype != np.complex64:
            stored[name] = values
            continue
        if storage == "rounded":
            kept = stored[name] = _round(values)
        else:
            stored[name], stored[f"{name}_scale"] = _halve(values)
            kept = decode(stored[name], stored[f"{name}_scale"])
        errors[name] = _errors(name, values, kept)
    return stored, errors


def _round(values: Complex) -> Complex:
    """Round the mantissas of both parts to nearest, ties to even."""
    drop = 23 - MANTISSA_BITS
    bits = np.ascontiguousarray(values).view(np.uint32)
    odd = (bits >> np.uint32(drop)) & np.uint32(1)
    bits = (bits + (np.uint32((1 << (drop - 1)) - 1) + odd)) & ~np.uint32((1 << drop) - 1)
    return bits.view(np.complex64)


def _halve(values: Complex) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
    """Parts as float16 [n, …, 2] and a power of two per sample [n] that brings the largest part to 2¹⁴ … 2¹⁵."""
    parts = np.ascontiguousarray(values).view(np.float32).reshape(*values.shape, 2)
    peak = np.abs(parts).reshape(len(parts), -1).max(axis=1, initial=0)
    _, exponent = np.frexp(peak)
    # 2^-126 is the smallest scale without subnormals; peaks below it would be the only ones to lose by that.
    exponent = np.where(peak > 0, np.clip(exponent - 15, -126, 127), 0)
    scale = np.ldexp(np.float32(1), exponent).astype(np.float32)
    return (parts / _per_sample(scale, parts)).astype(np.float16), scale


def decode(stored: npt.NDArray[np.float16], scale: npt.NDArray[np.float32]) -> Complex:
    """Channels of float16 parts [n, …, 2] and their scales [n]: complex64 [n, …]."""
    parts = stored.astype(np.float32)
    parts *= _per_sample(scale, parts)
    return parts.view(np.complex64)[..., 0]


def _per_sample(factor: npt.NDArray[Any], like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return factor.reshape(-1, *(1,) * (like.ndim - 1))


def _errors(name: str, values: Complex, kept: Complex) -> dict[str, Any]:
    energy, lost = _energy(values), _energy(kept - values)
    ratio = lost[energy != 0] / energy[energy != 0]
    worst = float(ratio.max(initial=0))
    if not worst <= 10 ** (NMSE_LIMIT_DB / 10):
        why = f"a sample's NMSE is {worst:.3g}, the limit is {NMSE_LIMIT_DB:g} dB"
        raise SimulationError("Lossy storage loses too much.", where=name, why=why, next_step="--storage lossless")
    mean = _db(float(ratio.mean())) if len(ratio) else None
    return {"samples": len(ratio), "nmse_db": mean, "nmse_worst_db": _db(worst)}


def _energy(h: Complex) -> npt.NDArray[np.float64]:
    parts = np.ascontiguousarray(h).view(np.float32).reshape(len(h), -1).astype(np.float64)
    return np.asarray(np.einsum("nk,nk->n", parts, parts))


def _db(ratio: float) -> float | None:
    return round(10 * float(np.log10(ratio)), 2) if ratio > 0 else None


def achieved(entries: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What lossy storage achieved, from the manifest entries.

    Parameters
    ----------
    entries : mapping of int to mapping
        Manifest entries by shard; of more than a thousand, a thousand are looked at.

    Returns
    -------
    dict of str to dict
        By lossy array: ``nmse_db`` (mean of the samples' ratios) and ``nmse_worst_db``, −inf where nothing was lost,
        and ``bytes``, stored bytes a sample. Empty for lossless datasets.
    """
    shards = sorted(entries)
    chosen = [
        entries[shards[i]] for i in np.unique(np.linspace(0, len(shards) - 1, min(len(shards), 1000)).astype(int))
    ]
    rows: dict[str, list[tuple[float, ...]]] = {}
    for entry in chosen:
        start, stop = entry["samples"]
        for name, e in entry.get("statistics", {}).get("lossy", {}).items():
            mean, worst = (0.0 if e[k] is None else 10 ** (e[k] / 10) for k in ("nmse_db", "nmse_worst_db"))
            rows.setdefault(name, []).append((mean * e["samples"], e["samples"], worst, e["bytes"], stop - start))
    out = {}
    with np.errstate(divide="ignore"):
        for name, found in rows.items():
            lost, counted, worst, stored, samples = np.array(found).T
            mean = 10 * np.log10(lost.sum() / max(1, counted.sum()))
            worst_db = 10 * np.log10(worst.max())
            out[name] = {
                "nmse_db": float(mean),
                "nmse_worst_db": float(worst_db),
                "bytes": stored.sum() / samples.sum(),
            }
    return out


@dataclass(frozen=True)
class _Metadata:
    dimension_names: tuple[str, ...]


class DecodedArray:
    """A float16 array and its scales, with as much of the face of a ``zarr.Array`` as reading needs.

    Parameters
    ----------
    values, scale : zarr.Array
        What is stored: float16 [sample, …, 2] and float32 [sample].
    """

    dtype: Final = np.dtype(np.complex64)

    def __init__(self, values: Any, scale: Any) -> None:
        self._values, self._scale = values, scale
        self.shape: tuple[int, ...] = values.shape[:-1]
        self.chunks: tuple[int, ...] = values.chunks[:-1]
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        self.metadata = _Metadata(tuple(values.metadata.dimension_names)[:-1])
        self.attrs = {key: value for key, value in values.attrs.items() if key not in ("scale_array", "comment")}
        self.scale_name: str = values.attrs["scale_array"]

    def __getitem__(self, rows: slice) -> Complex:
        """Decoded samples of a slice: complex64 [n, …]."""
        start, stop, _ = rows.indices(self.shape[0])
        return decode(read_rows(self._values, start, stop), read_rows(self._scale, start, stop))
