"""The model contract: predictors, embedders and codecs. Classical methods and networks are all models.

A model is found by registry name (``wbench/hold``), as ``package.module:Class`` or as ``./file.py:Class``. The life of
a model in the harness is: construct without arguments, :meth:`Model.supports`, :meth:`Model.setup`, :meth:`Model.fit`
(only if ``info.trains``), then prediction, in batches of any size and order.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from wbench import registry
from wbench.digest import file_digest
from wbench.errors import PluginError, UsageError
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec

__all__ = [
    "Codec",
    "Decoder",
    "Embedder",
    "Encoder",
    "Model",
    "ModelInfo",
    "Payload",
    "Predictor",
    "TrainingData",
    "load_model",
]

ModelKind = Literal["trivial", "classical", "control", "network", "foundation", "user"]
Overlap = Literal["none", "generator", "scenario", "dataset"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model declares about itself.

    Attributes
    ----------
    name : str
        ``organisation/model``.
    revision : str
        Raised whenever its predictions can change; of a file model, a digest of the file if left empty.
    kind : str
        ``trivial``, ``classical``, ``control`` (random features), ``network``, ``foundation`` or ``user``.
    summary, source, licence : str
        One line, the paper with equation, the licence of code and weights.
    trains : bool
        Whether :meth:`Model.fit` uses the training split; False means regime ``none`` (zero-shot).
    stochastic : bool
        Whether fitting depends on the seed; then several seeds are worth running.
    parameters : int
        Number of parameters (0 where the notion does not apply).
    pretraining : tuple of str
        Datasets and scenarios seen in pre-training.
    overlap : str
        Declared overlap of pre-training with the benchmark: ``none``, ``generator``, ``scenario``, ``dataset``.
    """

    name: str
    revision: str = ""
    kind: ModelKind = "user"
    summary: str = ""
    source: str = ""
    licence: str = ""
    trains: bool = False
    stochastic: bool = False
    parameters: int = 0
    pretraining: tuple[str, ...] = ()
    overlap: Overlap = "none"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a codec sends for one sample: ``bits`` bits in ``data``, most significant first, zero-padded to bytes."""

    data: bytes
    bits: int

    @classmethod
    def of_reals(cls, values: npt.ArrayLike) -> Payload:
        """Payload of float32 numbers, 32 bits each, little-endian."""
        data = np.ascontiguousarray(values, dtype="<f4").tobytes()
        return cls(data, 8 * len(data))

    def reals(self) -> npt.NDArray[np.float32]:
        """The float32 numbers of :meth:`of_reals`."""
        return np.frombuffer(self.data, dtype="<f4").astype(np.float32)


class TrainingData(Protocol):
    """A part of the training or validation side, already cut to budget and draw."""

    @property
    def meta(self) -> ChannelMeta:
        """Numerology, arrays and shapes."""
        ...

    def __len__(self) -> int: ...

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[Batch, Truth]]:
        """Batches of observations and targets, shuffled if a generator is given."""
        ...

    def load(self) -> tuple[Batch, Truth]:
        """All of it at once; the arrays are read-only, so copy before changing them."""
        ...


class Model(ABC):
    """Base of all models. Subclass :class:`Predictor`, :class:`Embedder` or :class:`Codec`."""

    info: ClassVar[ModelInfo]

    def supports(self, spec: TaskSpec) -> str | None:
        """None if the model can do the task, else the reason why not (shown as "n/a")."""
        return None

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the task's shapes and numerology; called once before anything else. Keeps both by default."""
        self.spec = spec
        self.meta = meta

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:  # noqa: B027 (a model need not train)
        """Fit to the training part; ``val`` is for choices such as a regulariser. Called only if ``info.trains``."""

    def count_parameters(self) -> int:
        """Number of parameters after fitting; ``info.parameters`` by default."""
        return self.info.parameters


class Predictor(Model):
    """A model that answers the task itself."""

    @abstractmethod
    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """Answer for each sample.

        Returns
        -------
        ndarray
            ``classify``: scores float [n, classes], larger is more likely. ``regress``: float [n, outputs].
            ``reconstruct``: complex [n, *meta.shape]; only entries that are not observed count.
        """


class Embedder(Model):
    """A model that gives features; the harness trains the head, so that features are compared, not heads."""

    @abstractmethod
    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Features float32 [n, token, d]."""


Encoder = Callable[[Batch], Sequence[Payload]]
Decoder = Callable[[Sequence[Payload]], npt.NDArray[np.complexfloating[Any, Any]]]


class Codec(Model):
    """A model that compresses. Both halves must pickle: the decoder runs in another process, in another order."""

    @abstractmethod
    def encoder(self) -> Encoder:
        """Function from a batch to one payload per sample."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """Function from payloads to the reconstruction, complex [n, *meta.shape]."""


def load_model(reference: str) -> Model:
    """Construct a model from a registry name, ``package.module:Class`` or ``./file.py:Class``.

    A class without an ``info`` gets one with its own name, which trains if there is a ``fit``. An empty revision
    becomes a digest of its source file.

    Raises
    ------
    UnknownNameError
        No model of that name; near names are suggested.
    MissingDependencyError
        A package that it needs is not installed.
    UsageError
        A file without a class.
    PluginError
        The file or class cannot be imported, constructed, is not a model, or has a ``fit`` that would not be called.
    """
    if reference.endswith(".py"):
        step = f"{reference}:MyModel"
        raise UsageError(f"{reference!r} names a file, but no class in it.", next_step=step)
    found = registry.import_reference(reference) if ":" in reference else registry.load("model", reference)
    if not (isinstance(found, type) and issubclass(found, (Predictor, Embedder, Codec))):
        raise PluginError(
            f"{reference!r} is not a model.",
            why="a model is a subclass of wbench.Predictor, wbench.Embedder or wbench.Codec",
        )
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise PluginError(f"{found.__name__} is not complete.", where=reference, why=f"missing {', '.join(missing)}()")
    try:
        model = found()
    except (Exception, SystemExit) as error:
        raise PluginError("The model cannot be constructed.", where=reference, why=f"{error!r}") from error
    fits = found.fit is not Model.fit
    info = getattr(model, "info", None) or ModelInfo(f"local/{found.__name__}", trains=fits)
    if not isinstance(info, ModelInfo):
        raise PluginError("info must be a wbench.ModelInfo.", where=reference, why=f"it is {type(info).__name__}")
    if fits and not info.trains:
        step = "set trains=True in its ModelInfo, or remove fit()"
        raise PluginError("fit() would never be called.", where=reference, why="info.trains is False", next_step=step)
    model.info = info if info.revision else replace(info, revision=_source_digest(found))  # type: ignore[misc]
    return model


def _source_digest(found: type) -> str:
    try:
        source = inspect.getsourcefile(found)
    except TypeError:  # defined in a session, not in a file
        source = None
    return file_digest(Path(source))[7:19] if source and Path(source).is_file() else "unversioned"
