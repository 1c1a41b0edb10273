"""What all adapters share: what they serve, their policy for shapes, their weights, and passes of one size."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from wbench.errors import MissingDependencyError, MissingError, ModelError, UsageError
from wbench.model import Codec, Embedder, Model
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import Kind, TaskSpec

__all__ = ["Adapter", "OtherShapes", "complex_of", "crop_pad", "in_passes", "needs", "real_imag", "tokens_of"]

Real = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]
OtherShapes = Literal["refuse", "crop-pad"]

#: Dimensions of observations that are no channel, of the task families that have them.
_NO_CHANNEL = {("slot",): "link features", ("beam",): "the RSRP of beams"}


class Adapter(Model):
    """Declared capabilities. Every attribute may be set on the class, or given by keyword (``[params]`` of a folder).

    Parameters
    ----------
    weights : path, optional
        File or folder of the weights. Of a class that names them in :attr:`weights`: relative to its source file.
    kinds, families, shape, other_shapes, prefixes : optional
        Instead of the attributes of the same names.

    Attributes
    ----------
    kinds : tuple of str
        Kinds of tasks that it serves; by default all that its base class can answer.
    families : tuple of str
        Task families that it serves; empty: all of these kinds that show a channel.
    shape : tuple of (int or None), or None
        The shape of one sample of the channel that it was made for; None for any, as a whole or in one dimension.
    other_shapes : {"refuse", "crop-pad"}
        What becomes of samples of another shape with as many dimensions: a reported "n/a", or every dimension is cut at
        its end, or filled with zeros there; a reconstruction is brought back the same way.
    prefixes : mapping of str to str
        Of PyTorch weights whose names have other beginnings than the network's: ``{"module.": ""}`` of a file that
        DistributedDataParallel wrote, ``{"_orig_mod.": ""}`` of ``torch.compile``; the first that fits is replaced.
    """

    kinds: Sequence[Kind] = ()
    families: Sequence[str] = ()
    shape: Sequence[int | None] | None = None
    other_shapes: OtherShapes = "refuse"
    weights: str | Path = ""
    prefixes: Mapping[str, str] = MappingProxyType({})
    #: Samples per forward pass. Always this many (zeros fill up), so that every matrix product has one size and a
    #: sample's answer is the same bits in whatever batch it comes.
    samples_per_pass: ClassVar[int] = 16

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        kinds: Sequence[Kind] | None = None,
        families: Sequence[str] | None = None,
        shape: Sequence[int | None] | None = None,
        other_shapes: OtherShapes | None = None,
        prefixes: Mapping[str, str] | None = None,
    ) -> None:
        given: dict[str, Any] = {"kinds": kinds, "families": families, "shape": shape, "other_shapes": other_shapes}
        given["prefixes"] = prefixes
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)
        if self.other_shapes not in ("refuse", "crop-pad"):
            raise UsageError('other_shapes is "refuse" or "crop-pad".', why=f"got {self.other_shapes!r}")
        self.path = self._found(weights)
        self.files = () if self.path is None else (self.path,)

    def _found(self, weights: str | Path | None) -> Path | None:
        """The weights on disk; those that the class names are looked for beside its own file."""
        if weights is not None:
            path = Path(weights).expanduser()
        elif self.weights:
            path = Path(inspect.getfile(type(self))).parent / Path(self.weights).expanduser()
        else:
            return None
        if not path.exists():
            step = "put the file there, or give another path as weights"
            raise MissingError("The weights are not there.", where=str(path), next_step=step)
        return path

    # --- what it serves --------------------------------------------------------------------------------------------

    def supports(self, spec: TaskSpec) -> str | None:
        """By :attr:`kinds` and :attr:`families`."""
        kinds = tuple(self.kinds) or self._can()
        if spec.kind not in kinds:
            return f"serves {' and '.join(kinds)} tasks, not {spec.kind}"
        if self.families and spec.family not in self.families:
            return f"serves {', '.join(self.families)}, not {spec.family}"
        return None

    def _can(self) -> tuple[Kind, ...]:
        if isinstance(self, Codec):
            return ("compress",)
        return ("classify", "regress") if isinstance(self, Embedder) else ("classify", "regress", "reconstruct")

    def accepts(self, meta: ChannelMeta) -> str | None:
        """By :attr:`shape` and :attr:`other_shapes`; the default input needs a channel."""
        if meta.dims in _NO_CHANNEL and not self._reads_otherwise():
            return f"needs channels; the task shows {_NO_CHANNEL[meta.dims]} only"
        if self.shape is None:
            return None
        fits = all(want in (None, have) for want, have in zip(self.shape, meta.shape, strict=False))
        if len(self.shape) == len(meta.shape) and (fits or self.other_shapes == "crop-pad"):
            return None
        wanted = " × ".join("any" if size is None else str(size) for size in self.shape)
        return (
            f"made for samples of {wanted}; the task's are {' × '.join(map(str, meta.shape))} ({', '.join(meta.dims)})"
        )

    def _reads_otherwise(self) -> bool:
        """Whether a subclass outside this package writes its own input."""
        names = ("inputs", "features")
        owners = [next((c for c in type(self).__mro__ if name in vars(c)), Adapter) for name in names]
        return any(not owner.__module__.startswith("wbench.adapters.") for owner in owners)

    # --- what the network sees, and what its output means ----------------------------------------------------------

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample of the channel as the network sees it, after :meth:`setup`."""
        wanted = self.shape or (None,) * len(self.meta.shape)
        return tuple(have if want is None else want for want, have in zip(wanted, self.meta.shape, strict=True))

    def channel(self, batch: Batch) -> Complex:
        """The observed channel, complex64 [n, *sample_shape]: cropped or padded if the shape is another."""
        if "H" not in batch.x:
            raise ModelError("The task shows no channel.", next_step="write inputs(), or declare families")
        return crop_pad(batch.x["H"], self.sample_shape)

    def inputs(self, batch: Batch) -> Mapping[str, npt.NDArray[Any]]:
        """What the network sees: arrays [n, …] by name. Default: ``x``, real and imaginary part, [n, 2, *sample_shape].

        Scaling is the model's own: channels come with unit rms.
        """
        return {"x": real_imag(self.channel(batch))}

    def answer(self, output: npt.NDArray[Any], batch: Batch) -> npt.NDArray[Any]:
        """The output of the network as the task wants it.

        Scores and regression outputs as they are; of ``reconstruct`` tasks real and imaginary part [n, 2, …] become the
        complex channel, brought back to the task's shape.
        """
        if self.spec.kind in ("classify", "regress"):
            return output
        return crop_pad(complex_of(output.reshape(len(output), 2, *self.sample_shape)), self.meta.shape)


def real_imag(channel: Complex) -> Real:
    """Complex [n, …] → float32 [n, 2, …], real part first."""
    return np.stack([channel.real, channel.imag], axis=1).astype(np.float32, copy=False)


def complex_of(parts: npt.NDArray[Any]) -> Complex:
    """Inverse of :func:`real_imag`: [n, 2, …] → complex64 [n, …]."""
    return (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)


def crop_pad(values: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Samples [n, …] brought to another shape: each dimension cut at its end, or filled with zeros there."""
    wanted = (len(values), *shape)
    if values.shape == wanted:
        return values
    out = np.zeros(wanted, dtype=values.dtype)
    common = tuple(slice(0, min(a, b)) for a, b in zip(values.shape, wanted, strict=True))
    out[common] = values[common]
    return out


def in_passes(
    run: Callable[[dict[str, npt.NDArray[Any]]], npt.NDArray[Any]], inputs: Mapping[str, npt.NDArray[Any]], size: int
) -> npt.NDArray[Any]:
    """Run a network on ``size`` samples at a time, always so many: zeros fill the last pass up."""
    count = len(next(iter(inputs.values())))
    outputs = []
    for start in range(0, count, size):
        part = {name: values[start : start + size] for name, values in inputs.items()}
        have = min(size, count - start)
        if have < size:
            fill = {name: np.zeros((size - have, *values.shape[1:]), values.dtype) for name, values in part.items()}
            part = {name: np.concatenate([values, fill[name]]) for name, values in part.items()}
        output = np.asarray(run({name: np.ascontiguousarray(values) for name, values in part.items()}))
        if output.ndim == 0 or len(output) != size:
            why = f"{output.shape} for {size} samples"
            raise ModelError("The network must keep the samples in the first dimension.", why=why)
        outputs.append(output[:have])
    return np.concatenate(outputs)


def tokens_of(output: npt.NDArray[Any]) -> Real:
    """Output of a network as tokens, float32 [n, token, d]: one vector per sample is one token, maps are rows of d.

    Dimensions between the first and the last, of [n, …, d], become tokens.
    """
    flat = output[:, None] if output.ndim == 2 else output.reshape(len(output), -1, output.shape[-1])
    return flat.astype(np.float32, copy=False)


def needs(package: str, extra: str, what: str) -> None:
    """Check that a framework is there.

    Raises
    ------
    MissingDependencyError
        It is not; the message names the extra.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError(
            f"{what} needs {package}, which is not installed.", next_step=f"pip install 'wbench[{extra}]'"
        )
