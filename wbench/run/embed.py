"""Looking into an embedder: features of a task's samples beside the labels that the dataset has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import UsageError
from wbench.heads.probe import checked_tokens, features_of
from wbench.model import Embedder, load_model
from wbench.run.cost import placed
from wbench.run.executors import one_thread
from wbench.run.guard import blaming
from wbench.run.plan import load_task
from wbench.saving import replacing
from wbench.task.base import Task
from wbench.task.part import TaskData
from wbench.task.spec import Part

__all__ = ["Embedding", "Label", "array_place", "embed", "neighbour_agreement", "project", "save_embedding"]

BATCH = 256
#: Neighbours whose labels are compared.
NEIGHBOURS = 10
_SUFFIX = ".npz"
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Label:
    """What samples are coloured by.

    Attributes
    ----------
    name : str
        Title with unit.
    values : ndarray [n]
        Class numbers (int64) or a quantity (float64).
    names : tuple of str
        Names of the classes, empty of numbers that speak for themselves and of a quantity.
    """

    name: str
    values: npt.NDArray[Any]
    names: tuple[str, ...] = ()

    @property
    def is_class(self) -> bool:
        """Whether the values are classes."""
        return self.values.dtype.kind in "iu"


@dataclass(frozen=True)
class Embedding:
    """Features of some samples.

    Attributes
    ----------
    model, task, part : str
        Whose, of what.
    ids : int64 ndarray [n]
        Sample ids.
    features : float64 ndarray [n, d]
        Pooled features.
    labels : list of Label
        Those that differ between the samples.
    planes : dict of str to float64 ndarray [n, 2]
        ``PCA`` and ``t-SNE``, where they were made.
    """

    model: str
    task: str
    part: str
    ids: npt.NDArray[np.int64]
    features: F64
    labels: list[Label]
    planes: dict[str, F64] = field(default_factory=dict)


def embed(
    model: str,
    task: str | Path,
    *,
    part: Part = "test",
    samples: int = 2000,
    size: str = "standard",
    data: str | Path | None = None,
    seed: int = 0,
    planes: bool = True,
) -> Embedding:
    """Embed samples of a task, evenly spaced over a part.

    Parameters
    ----------
    model : str
        An embedder: registry name, ``package.module:Class``, ``./file.py:Class`` or a model folder.
    task : str or Path
        Task instance; its observations are what is embedded.
    part : {"train", "val", "test"}
        Which part.
    samples : int
        At most so many.
    size, data
        As in :func:`wbench.evaluate`.
    seed : int
        Seed of t-SNE, and of an embedder that trains (which is fitted on the task's training part).
    planes : bool
        Project to two dimensions by PCA and t-SNE.

    Raises
    ------
    UsageError
        The model is no embedder or does not serve the task; too few samples.
    ModelError
        The model raises, or its features are not finite.
    """
    if part not in ("train", "val", "test") or samples < 10:
        why, step = f"got {samples} of {part!r}", "--samples 2000 --part test"
        raise UsageError("Embed at least 10 samples of train, val or test.", why=why, next_step=step)
    if not 0 <= seed < 1 << 32:
        raise UsageError("Seeds are whole numbers from 0 on.", why=f"got {seed}", next_step="--seed 0")
    found = load_task(task, size=size, data=data)
    embedder = load_model(model)
    if not isinstance(embedder, Embedder):
        why = f"it is a {type(embedder).__mro__[1].__name__}"
        step = "a wbench.Embedder: it has embed(); wbench/vit-random is one"
        raise UsageError(f"{model} is no embedder.", why=why, next_step=step)
    with blaming(model, "supports", embedder):
        reason = embedder.supports(found.spec) or embedder.accepts(found.meta)
    if reason is not None:
        step = "another --task (wbench list tasks)"
        raise UsageError(f"{model} does not serve {found.spec.name}.", why=reason, next_step=step)
    ids = found.ids(part)
    ids = ids[np.linspace(0, len(ids) - 1, min(samples, len(ids))).round().astype(np.int64)]
    with one_thread():
        with blaming(model, "embed", embedder):
            features = _features(embedder, found, part, ids, seed)
        made = Embedding(embedder.info.name, found.spec.name, part, ids, features, list(_labels(found, part, ids)))
        return Embedding(**{**made.__dict__, "planes": project(features, seed)}) if planes else made


def _features(embedder: Embedder, task: Task, part: Part, ids: npt.NDArray[np.int64], seed: int) -> F64:
    embedder.setup(task.spec, task.meta)
    placed(embedder)
    if embedder.info.trains:
        embedder.fit(TaskData(task, "train"), TaskData(task, "val"), seed)
    batches = task.batches(part, ids, BATCH)
    return np.concatenate([features_of(embedder, checked_tokens(embedder, b), pools=True) for b in batches])


def _labels(task: Task, part: Part, ids: npt.NDArray[np.int64]) -> Iterable[Label]:
    """Labels that the dataset or the task has and that differ between the samples."""
    dataset = task.dataset(part)
    there = set(dataset.array_names)
    first = task.read(part, "los", ids) if "los" in there else None
    if first is not None and first.ndim == 1:
        yield from _varied(Label("line of sight", first.astype(np.int64).clip(0), ("NLoS", "LoS")))
    if task.meta.classes is not None and task.meta.classes > 2:
        name = "best beam" if task.spec.family.startswith("beam") else "class"
        yield from _varied(Label(name, task.truth(part, ids)["label"].astype(np.int64)))
    if "scene" in there and "scenes" in dataset.attributes:
        entries = sorted(dataset.attributes["scenes"], key=lambda entry: int(entry["scene"]))
        names = tuple(str(entry["name"]) for entry in entries)
        yield from _varied(Label("scene", dataset.read("scene", ids).astype(np.int64), names))
    if "scenario" in there and "scenarios" in dataset.attributes.get("grid", {}):
        names = tuple(dataset.attributes["grid"]["scenarios"])
        yield from _varied(Label("scenario", dataset.read("scenario", ids).astype(np.int64), names))
    for name, values in _quantities(dataset, ids):
        if np.isfinite(values).all():
            yield from _varied(Label(name, values.astype(np.float64)))


def _quantities(dataset: Any, ids: npt.NDArray[np.int64]) -> Iterable[tuple[str, npt.NDArray[Any]]]:
    there = set(dataset.array_names)
    if "delay_spread_s" in there:
        spread = dataset.read("delay_spread_s", ids).astype(np.float64)
        yield "delay spread (lg s)", np.log10(np.maximum(spread, 1e-10))
    if {"ue_position", "bs_position"} <= there:
        step = (dataset.read("ue_position", ids) - dataset.read("bs_position", ids))[:, :2]
        yield "distance (m)", np.linalg.norm(step, axis=1)
    if "ue_velocity" in there:
        yield "speed (km/h)", 3.6 * np.linalg.norm(dataset.read("ue_velocity", ids), axis=1)


def _varied(label: Label) -> Iterable[Label]:
    if len(np.unique(label.values)) > 1:
        yield label


def _standard(features: F64) -> F64:
    deviation = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))


def project(features: F64, seed: int = 0) -> dict[str, F64]:
    """Two dimensions of standardised features: ``PCA``, and ``t-SNE`` of at most 50 principal components.

    van der Maaten and Hinton, JMLR 9, 2008; perplexity 30, less where there are fewer than 91 samples.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = _standard(features)
    main = PCA(min(50, *rows.shape), svd_solver="full").fit_transform(rows)
    plane = main[:, :2] if main.shape[1] > 1 else np.column_stack([main, np.zeros(len(main))])
    perplexity = min(30.0, (len(rows) - 1) / 3)
    spread = TSNE(2, perplexity=perplexity, init="pca" if main.shape[1] > 1 else "random", random_state=seed)
    return {"PCA": plane.astype(np.float64), "t-SNE": spread.fit_transform(main).astype(np.float64)}


def neighbour_agreement(features: F64, label: Label) -> tuple[float, float]:
    """Share of the ten nearest other samples that have a sample's class, and what chance would give."""
    from sklearn.neighbors import NearestNeighbors

    rows = _standard(features)
    count = min(NEIGHBOURS, len(rows) - 1)
    near = NearestNeighbors(n_neighbors=count + 1).fit(rows).kneighbors(rows, return_distance=False)[:, 1:]
    share = np.bincount(label.values) / len(rows)
    return float((label.values[near] == label.values[:, None]).mean()), float((share**2).sum())


def array_place(file: str | Path) -> Path:
    """Path of saved embeddings, its type checked: worth asking for before anything is embedded.

    Raises
    ------
    UsageError
        The name does not end in ``.npz``.
    """
    place = Path(file)
    if place.suffix != _SUFFIX:
        step = f"--out {place.with_suffix(_SUFFIX)}"
        raise UsageError("Embeddings are written as .npz.", where=str(place), next_step=step)
    return place


def save_embedding(embedding: Embedding, path: str | Path) -> Path:
    """Write features, ids, labels and planes as ``.npz``, atomically.

    Raises
    ------
    UsageError
        The name does not end in ``.npz``.
    ResultError
        It cannot be written.
    """
    place = array_place(path)
    arrays: dict[str, npt.NDArray[Any]] = {"ids": embedding.ids, "features": embedding.features.astype(np.float32)}
    for label in embedding.labels:
        key = label.name.partition(" (")[0].replace(" ", "_")
        arrays[f"label_{key}"] = label.values
        if label.names:
            arrays[f"names_{key}"] = np.array(label.names)
    arrays |= {f"plane_{name.lower().replace('-', '')}": plane for name, plane in embedding.planes.items()}
    with replacing(place, "The embeddings") as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    return place
