"""The model contract: predictors, embedders and codecs. Classical methods and networks are all models.

A model is found by registry name (``wbench/hold``), as ``package.module:Class``, as ``./file.py:Class``, or as a folder
with ``model.toml`` (:mod:`wbench.model_folder`). The life of a model in the harness is: construction (without
arguments, or with those of its folder), :meth:`Model.supports`, :meth:`Model.accepts`, :meth:`Model.setup`,
:meth:`Model.move`, :meth:`Model.fit` (only if ``info.trains``), then prediction, in batches of any size and order.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from wbench import registry
from wbench.digest import file_digest, value_digest
from wbench.errors import TRACEBACK_STEP, PluginError, UsageError, WBenchError, near_names, show_traceback
from wbench.model_folder import ModelFolder, find_folder, paths_digest, read_folder
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec
from wbench.tuning import Search

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = [
    "Codec",
    "Decoder",
    "Embedder",
    "Encoder",
    "Model",
    "ModelInfo",
    "Payload",
    "Predictor",
    "TorchEmbedder",
    "TrainingData",
    "load_model",
    "module_device",
    "source_digest",
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
        Raised whenever its predictions can change; if left empty, a digest of its source file and its weights.
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
    pretraining_samples : int
        Number of samples seen there, each counted once (0: none, or not known).
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
    pretraining_samples: int = 0
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
    #: What :meth:`fit` chose on validation, and from what (:mod:`wbench.tuning`); empty if it chose nothing.
    searches: Sequence[Search] = ()
    #: Files and folders that its answers hang on besides its code, such as weights: part of an empty revision.
    files: Sequence[Path] = ()

    def supports(self, spec: TaskSpec) -> str | None:
        """None if the model can do the task, else the reason why not (shown as "n/a")."""
        return None

    def accepts(self, meta: ChannelMeta) -> str | None:
        """None if the model takes samples of these shapes, else the reason why not (shown as "n/a").

        A network for 64 antennas says so here of a task with 32, unless it crops, pads or resamples by a declared rule.
        """
        return None

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the task's shapes and numerology; called once before anything else. Keeps both by default."""
        self.spec = spec
        self.meta = meta

    def move(self, device: str) -> None:  # noqa: B027 (most models know the CPU only)
        """Go to ``cpu``, ``cuda`` or ``cuda:1``; called after :meth:`setup`, and only for devices that are there."""

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:  # noqa: B027 (a model need not train)
        """Fit to the training part; ``val`` is for choices such as a regulariser. Called only if ``info.trains``."""

    def count_parameters(self) -> int:
        """Number of parameters after fitting; ``info.parameters`` by default."""
        return self.info.parameters

    def count_trained_parameters(self) -> int:
        """How many of them :meth:`fit` chose; all of them by default, none of a model that does not train."""
        return self.count_parameters() if self.info.trains else 0


class Predictor(Model):
    """A model that answers the task itself."""

    @abstractmethod
    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """Answer for each sample.

        Returns
        -------
        ndarray
            ``classify``: scores float [n, classes], larger is more likely. ``regress``: float [n, outputs].
            ``reconstruct``: complex [n, *meta.shape]; only entries that are not observed count, unless the family says
            that all do (channel estimation).
        """


class Embedder(Model):
    """A model that gives features; the harness trains the head, so that features are compared, not heads."""

    @abstractmethod
    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Features float32 [n, token, d]."""

    def pool(self, tokens: Any) -> Any:
        """One vector per sample, [n, token, d] → [n, m], for heads that want one; the mean over tokens by default.

        A network with a class token takes that one (``tokens[:, 0]``). Tokens are a NumPy array, or a tensor while the
        embedder is fine-tuned: slicing, ``reshape`` and ``mean(axis=…)`` work on both.
        """
        return tokens.mean(axis=1)


class TorchEmbedder(Embedder):
    """An embedder that is a PyTorch network, so that the harness can also fine-tune it.

    A subclass sets :attr:`module` in :meth:`Model.setup` and writes :meth:`inputs` and :meth:`forward_tokens`;
    :meth:`layers` if its last layers are worth tuning alone.
    """

    #: The network, with its weights, once :meth:`Model.setup` is over.
    module: nn.Module
    #: Samples per forward pass. Always this many (zeros fill up), so that every matrix product has one size and a
    #: sample's features are the same bits in whatever batch it comes.
    samples_per_pass: ClassVar[int] = 16

    @abstractmethod
    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        """What the network sees: arrays [n, …] by name, with the model's own scaling and policy for shapes."""

    @abstractmethod
    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Tokens [n, token, d] of tensors as :meth:`inputs` names them, through :attr:`module`, with gradients."""

    def move(self, device: str) -> None:
        """Move :attr:`module`."""
        self.module.to(device)

    def layers(self) -> Sequence[nn.Module]:
        """The network in the order of its layers, for tuning the last n of them.

        What follows the last layer (a final norm) belongs to it: ``nn.ModuleList([layer, norm])``. By default the
        network is one layer.
        """
        return [self.module]

    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Features float32 [n, token, d], without gradients and without dropout."""
        import torch

        self.module.eval()
        device = module_device(self.module)
        arrays = self.inputs(batch)
        n, size = len(batch), self.samples_per_pass
        fill = {k: np.zeros((-n % size, *v.shape[1:]), dtype=v.dtype) for k, v in arrays.items()}
        tensors = {k: torch.from_numpy(np.concatenate([v, fill[k]])) for k, v in arrays.items()}
        with torch.inference_mode():
            passes = [{k: v[i : i + size].to(device) for k, v in tensors.items()} for i in range(0, n, size)]
            tokens = torch.cat([self.forward_tokens(one) for one in passes])[:n]
            return np.asarray(tokens.float().cpu().numpy())

    def count_parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.module.parameters())


def module_device(module: nn.Module) -> torch.device:
    """Where a network is: by its first weight or buffer; the CPU for one that has none (an FFT, a pooling)."""
    import torch

    tensors: Iterator[Tensor] = chain(module.parameters(), module.buffers())
    found = next(tensors, None)
    return torch.device("cpu") if found is None else found.device


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


#: What :func:`load_model` takes for a model.
KINDS: tuple[type[Model], ...] = (Predictor, Embedder, Codec)


def load_model(reference: str, among: tuple[type[Model], ...] = KINDS) -> Model:
    """Construct a model from a registry name, ``package.module:Class``, ``./file.py:Class`` or a folder.

    A class without an ``info`` gets one with its own name, which trains if there is a ``fit``. An empty revision
    becomes a digest of its source file, and of its weights and parameters if it has any. ``among`` are the base
    classes that count as models here.

    Raises
    ------
    UnknownNameError
        No model of that name; near names are suggested.
    MissingError
        A package that it needs is not installed, or the weights that a folder names are not there.
    UsageError
        A file without a class, a folder without or with a wrong ``model.toml``.
    PluginError
        The file or class cannot be imported, constructed, is not a model, or has a ``fit`` that would not be called.
    """
    _check_names_class(reference, reference)
    path = find_folder(reference)
    folder = None if path is None else read_folder(path)
    target = reference if folder is None else folder.reference
    _check_names_class(target, reference)
    found = _model_class(target, among)
    try:
        model = found(**({} if folder is None else folder.arguments))
    except WBenchError:
        raise
    except (Exception, SystemExit) as error:
        show_traceback(error)
        why, step = registry.cause_in(error, inspect.getsourcefile(found)), TRACEBACK_STEP
        if isinstance(error, TypeError):
            takes = ", ".join(inspect.signature(found).parameters) or "none"
            given = "gives others" if folder is not None else "of a folder with one can give them"
            step = f"the class takes these arguments: {takes}; [params] of model.toml {given}"
        raise PluginError("The model cannot be constructed.", where=reference, why=why, next_step=step) from error
    fits = _writes_fit(found)
    info = getattr(model, "info", None) or ModelInfo(f"local/{found.__name__}", trains=fits)
    if not isinstance(info, ModelInfo):
        why, step = f"it is {type(info).__name__}", 'info = wbench.ModelInfo("organisation/model", licence="…")'
        raise PluginError("info must be a wbench.ModelInfo.", where=reference, why=why, next_step=step)
    if folder is not None:
        info = replace(info, **folder.table.info.model_dump(exclude_none=True))
    if fits and not info.trains and (folder is None or folder.weights is None):
        step = "set trains=True in its ModelInfo, or remove fit()"
        raise PluginError("fit() would never be called.", where=reference, why="info.trains is False", next_step=step)
    model.info = replace(info, revision=_revision(model, info, folder))  # type: ignore[misc]
    return model


def _check_names_class(target: str, where: str) -> None:
    """Refuse a file without a class, and a path where nothing is, before they are looked for among names."""
    if target.endswith(".py"):
        raise UsageError(f"{target!r} names a file, but no class in it.", where=where, next_step=f"{target}:MyModel")
    path = Path(target).expanduser()
    if ":" not in target and target.startswith((".", "/", "~")) and not path.exists():
        beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        near = near_names(path.name, beside)[:3]
        why = f"beside it there is {', '.join(near)}" if near else None
        step = "correct the path; a model is ./file.py:Class, a folder with model.toml, or a name of wbench list models"
        raise UsageError(f"There is no {target!r}.", why=why, next_step=step)


def _model_class(reference: str, among: tuple[type[Model], ...]) -> type[Model]:
    """The class of a reference, checked as far as a class can be."""
    found = registry.import_reference(reference) if ":" in reference else registry.load("model", reference)
    if not (isinstance(found, type) and issubclass(found, among)):
        kinds = " or ".join(f"wbench.{kind.__name__}" for kind in among)
        why = f"a model is a subclass of {kinds}"
        step = "subclass one of them (docs: models)"
        if isinstance(found, type) and {"EncoderPart", "DecoderPart"} & {one.__name__ for one in found.__mro__}:
            step = "it is half a codec: --encoder … --decoder … (docs: two-sided feedback)"
        raise PluginError(f"{reference!r} is not a model.", why=why, next_step=step)
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        why, step = f"missing {', '.join(missing)}()", f"write {missing[0]}() in the class (docs: models)"
        raise PluginError(f"{found.__name__} is not complete.", where=reference, why=why, next_step=step)
    return found


def _writes_fit(found: type[Model]) -> bool:
    """Whether a ``fit`` is there to be called; that of an adapter only is if the model says that it trains."""
    owner = next(one for one in found.__mro__ if "fit" in vars(one))
    return owner is not Model and not owner.__module__.startswith("wbench.adapters.")


def _revision(model: Model, info: ModelInfo, folder: ModelFolder | None) -> str:
    """What is declared; else a digest of code, parameters and weights."""
    if folder is not None and folder.table.info.revision:
        return info.revision
    code = info.revision or source_digest(type(model))
    if folder is not None and folder.arguments:
        return folder.revision(code, model.files)
    files = list(model.files)
    return value_digest([code, paths_digest(files)])[7:19] if files and not info.revision else code


def source_digest(found: type) -> str:
    """First 12 digits of the digest of the file that a class is in; "unversioned" where there is none."""
    try:
        source = inspect.getsourcefile(found)
    except TypeError:  # defined in a session, not in a file
        source = None
    return file_digest(Path(source))[7:19] if source and Path(source).is_file() else "unversioned"
