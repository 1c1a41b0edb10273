"""The task contract and the part of the protocol that all families share: phase, scaling, noise, splits.

A *family* (los-nlos, csi-feedback-ratio …) subclasses :class:`Task` and says what is observed and what the target is;
an *instance* is a :class:`~wbench.task.spec.TaskSpec`. The order of work per sample is fixed by the protocol: one
seeded phase on the channel, the family's transform, division by the rms of the clean observed part, then noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from wbench import registry
from wbench.channel.noise import add_noise, draw_snr_db, noise_power, random_phase
from wbench.dataset.reader import Dataset
from wbench.dataset.spec import explain_validation
from wbench.errors import DatasetError, SpecError
from wbench.seeding import KeyedStream
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta, Truth
from wbench.task.spec import Part, TaskSpec
from wbench.task.splits import split_digest, split_ids
from wbench.task.store import Store

__all__ = ["FamilyParams", "Radio", "Task", "family_class"]

Ids = npt.NDArray[np.int64]
Complex = npt.NDArray[np.complex64]
#: Memory that a task may keep observations and targets in, so that ten models do not make them ten times.
STORE_LIMIT_BYTES = 3 << 30


class FamilyParams(BaseModel):
    """Base of a family's parameters: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Radio:
    """Numerology and arrays of one channel array of a dataset."""

    carrier_hz: float
    subcarriers: int
    spacing_hz: float
    time_steps: int
    time_step_s: float
    tx: ArrayMeta
    rx: ArrayMeta

    def observed(
        self,
        shape: tuple[int, ...],
        dims: tuple[str, ...],
        *,
        tx: ArrayMeta | None = None,
        classes: int | None = None,
        outputs: int | None = None,
    ) -> ChannelMeta:
        """Metadata of an observation of this channel; ``tx`` where only a part of the array is seen."""
        return ChannelMeta(
            shape=shape,
            dims=dims,
            carrier_hz=self.carrier_hz,
            subcarrier_spacing_hz=self.spacing_hz,
            time_step_s=self.time_step_s,
            tx=tx or self.tx,
            rx=self.rx,
            classes=classes,
            outputs=outputs,
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one sample of the channel: (time, rx, tx, subcarrier)."""
        return self.time_steps, self.rx.ports, self.tx.ports, self.subcarriers

    @classmethod
    def of(cls, dataset: Dataset, channel: str) -> Radio:
        """Read it from the dataset's attributes."""
        try:
            radio = dataset.attributes["radio"]
            band = radio["bands"][channel]
            ends = [
                ArrayMeta(a["rows"], a["cols"], a["dv"], a["dh"], len(a["slants"]))
                for a in (band.get("tx") or radio["tx"], band.get("rx") or radio["rx"])
            ]
            return cls(
                float(band.get("carrier_hz", dataset.attributes.get("carrier_hz", 0.0))),
                int(band["subcarriers"]),
                float(band["spacing_hz"]),
                int(radio["time_steps"]),
                float(radio["time_step_s"]),
                *ends,
            )
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"The dataset does not describe the channel array {channel!r}.",
                where=str(dataset.path),
                why=f"missing {error}",
            ) from error


class Task(ABC):
    """One task instance on its datasets.

    Parameters
    ----------
    spec : TaskSpec
        The instance.
    datasets : mapping of str to Dataset
        Complete datasets by recipe name.
    """

    #: Pydantic model of the instance's ``[params]``.
    Params: ClassVar[type[FamilyParams]] = FamilyParams
    #: Whether samples are divided by the rms of their clean observed part.
    scale: ClassVar[bool] = True
    #: What counts of a ``reconstruct`` answer: the entries that are not observed, or all of them.
    scored: ClassVar[Literal["open", "all"]] = "open"

    def __init__(self, spec: TaskSpec, datasets: Mapping[str, Dataset]) -> None:
        self.spec = spec
        self.params: Any = self.check_params(spec)
        self.datasets = {recipe: datasets[recipe] for recipe in spec.recipes}
        #: What draws of training parts depend on: a hidden season's are those of the published instance.
        self.drawn_by = spec.digest
        self._ids: dict[Part, Ids] = {}
        self._stores: dict[Part, Store] = {}
        if spec.noise is not None and not self.scale:
            raise SpecError(
                "The family does not scale its samples, so an SNR is undefined.", where=f"{spec.name} [noise]"
            )

    @classmethod
    def check_params(cls, spec: TaskSpec) -> FamilyParams:
        """The instance's parameters, checked."""
        try:
            return cls.Params.model_validate(spec.params)
        except ValidationError as error:
            raise SpecError(
                "The task's parameters are not valid.", where=f"{spec.name} [params]", why=explain_validation(error)
            ) from error

    # --- what a family says ----------------------------------------------------------------------------------------

    @abstractmethod
    def describe(self, radio: Radio) -> ChannelMeta:
        """Shapes and metadata of an observation."""

    def transform(self, channel: Complex) -> Complex:
        """Clean CFR [n, time, rx, tx, subcarrier] to the task's domain; the CFR itself by default."""
        return channel

    def observe(self, clean: Complex) -> tuple[Complex, npt.NDArray[np.bool_] | None]:
        """What is seen of the clean signal: values [n, …] and, in ``reconstruct`` tasks, the mask […] of them."""
        return clean, None

    @abstractmethod
    def targets(self, channel: Complex, clean: Complex, rms: npt.NDArray[np.float32], labels: Truth) -> Truth:
        """Targets of the samples.

        Parameters
        ----------
        channel : complex64 ndarray [n, time, rx, tx, subcarrier]
            CFR with the sample's phase, not scaled.
        clean : complex64 ndarray [n, …]
            :meth:`transform` of it, already divided by ``rms``.
        rms : float32 ndarray [n] or [n, links]
            The scale g, as :meth:`rms` gives it.
        labels : dict of str to ndarray
            The dataset arrays of :attr:`label_arrays`.
        """

    @property
    def label_arrays(self) -> tuple[str, ...]:
        """Per-sample dataset arrays that :meth:`targets` needs."""
        return ()

    @property
    def links(self) -> int:
        """Consecutive dataset samples that make one sample of the task: a user's links to several base stations."""
        return 1

    def usable(self, part: Part, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which samples can be asked at all: bool [n]. By default those with a path (of any link)."""
        dataset = self.dataset(part)
        if "los" not in dataset.array_names:
            return np.ones(len(ids), dtype=bool)
        return np.asarray((self.read(part, "los", ids).reshape(len(ids), -1) != -1).any(axis=1))

    def impair(self, channel: Complex, part: Part, ids: Ids) -> Complex:
        """What the hardware does to the channel before it is seen, such as a clock error; nothing by default."""
        return channel

    def side_inputs(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[Any]]:
        """Further inputs beside ``"H"`` that the protocol allows the task; none by default."""
        return {}

    def columns(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.float64]]:
        """Numeric columns for slices and the ranked slice; the SNR if the task adds noise."""
        return {"snr_db": self.snr_db(part, ids).astype(np.float64)} if self.spec.noise is not None else {}

    def slices(self, part: Part, ids: Ids) -> dict[str, npt.NDArray[np.str_]]:
        """Label of each sample in each slicing; an empty label is in no slice."""
        columns = self.columns(part, ids)
        if "snr_db" in columns and len(np.unique(columns["snr_db"])) > 1:
            return {"snr_db": np.array([f"{value:g}" for value in columns["snr_db"]])}
        return {}

    # --- what the harness uses -------------------------------------------------------------------------------------

    def dataset(self, part: Part) -> Dataset:
        """The dataset behind a part."""
        return self.datasets[self.spec.views[part].recipe]

    @cached_property
    def meta(self) -> ChannelMeta:
        """Shapes and metadata of what is trained on. Shapes are the same for all parts."""
        return self.metas["train"]

    @cached_property
    def metas(self) -> dict[Part, ChannelMeta]:
        """Shapes and metadata of each part. Numerology and array of a held-out test part may be others (S3, S4)."""
        found: dict[Part, ChannelMeta] = {
            part: self.describe(Radio.of(self.dataset(part), self.spec.channel)) for part in self.spec.views
        }
        if len({(meta.shape, meta.dims, meta.classes, meta.outputs) for meta in found.values()}) > 1:
            raise SpecError("The parts of the task differ in shape.", where=self.spec.name)
        return found

    def ids(self, part: Part) -> Ids:
        """Sample ids of a part, sorted, read-only; samples without a path are left out."""
        if part not in self._ids:
            dataset, split = self.dataset(part), self.spec.split
            first = np.arange(0, len(dataset), self.links)
            columns = {name: dataset.read(name, first) for name in split.arrays or (self.spec.cluster,)}
            scenes = [entry["name"] for entry in dataset.attributes.get("scenes", [])]
            ids = first[split_ids(split, dataset.spec.digest, columns, self.spec.views[part].side, scenes)]
            ids = ids[self.usable(part, ids)]
            if not len(ids):
                raise SpecError(f"The {part} part has no sample with a path.", where=self.spec.name)
            ids.setflags(write=False)
            self._ids[part] = ids
        return self._ids[part]

    def read(self, part: Part, name: str, ids: Ids) -> npt.NDArray[Any]:
        """A dataset array of samples of the task: [n, …], or [n, links, …] where a sample has several links."""
        if self.links == 1:
            return self.dataset(part).read(name, ids)
        rows = (ids[:, None] + np.arange(self.links)).ravel()
        values = self.dataset(part).read(name, rows)
        return values.reshape(len(ids), self.links, *values.shape[1:])

    def clusters(self, part: Part, ids: Ids) -> npt.NDArray[np.int64]:
        """Interval cluster of each sample: int64 [n]."""
        return self.dataset(part).read(self.spec.cluster, ids).astype(np.int64)

    def split_digest(self, recipe: str) -> str:
        """Digest of the split of one recipe's dataset."""
        return split_digest(self.spec.split, self.datasets[recipe].spec.digest)

    def snr_db(self, part: Part, ids: Ids) -> npt.NDArray[np.float32]:
        """SNR of each sample in dB, by keyed draw from the instance's list: float32 [n]."""
        if self.spec.noise is None:
            raise SpecError("The task adds no noise.", where=self.spec.name)
        return draw_snr_db(self.spec.noise.snr_db, self._stream(part, "snr"), ids).astype(np.float32)

    def _stream(self, part: Part, purpose: str) -> KeyedStream:
        return KeyedStream(self.dataset(part).spec.digest, self.spec.name, str(self.spec.version), purpose)

    def pairs(self, part: Part, ids: Ids, size: int = 256) -> Iterator[tuple[Batch, Truth]]:
        """Observations and targets together, in batches, read-only. A sample is the same in every batch."""
        if part not in self._stores:
            limit = STORE_LIMIT_BYTES // len(self.spec.views)
            self._stores[part] = Store(self.ids(part), partial(self._pair, part), limit)
        for start in range(0, len(ids), size):
            # A copy: the ids of a batch are the model's to see, those of the harness are not the model's to change.
            yield self._stores[part].take(np.array(ids[start : start + size], dtype=np.int64))

    def batches(self, part: Part, ids: Ids, size: int = 256) -> Iterator[Batch]:
        """Observations only."""
        for batch, _ in self.pairs(part, ids, size):
            yield batch

    def truth(self, part: Part, ids: Ids) -> Truth:
        """Targets only (harness)."""
        parts = [truth for _, truth in self.pairs(part, ids)]
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    def _pair(self, part: Part, ids: Ids) -> tuple[Batch, Truth]:
        channel = self.read(part, self.spec.channel, ids)
        channel *= _per_sample(random_phase(self._stream(part, "phase"), ids), channel)
        channel = self.impair(channel, part, ids)
        clean = self.transform(channel)
        rms = self.rms(_seen(*self.observe(clean)))
        clean = clean / _per_sample(rms, clean)
        values, mask = self.observe(clean)
        power: npt.NDArray[np.float32] | None = None
        if self.spec.noise is not None:
            power = noise_power(self.snr_db(part, ids)).astype(np.float32)
            seen = add_noise(_seen(values, mask), power, self._stream(part, "noise"), ids)
        else:
            seen = _seen(values, mask)
        if mask is not None:
            x: dict[str, npt.NDArray[Any]] = {"H": _placed(seen, mask), "observed": mask}
        else:  # clean feedback sees its own target: one array, kept once
            x = {"H": clean if power is None and values is clean else seen.reshape(values.shape)}
        labels = {name: self.read(part, name, ids) for name in self.label_arrays}
        batch = Batch(ids, {**x, **self.side_inputs(part, ids)}, power, self.metas[part])
        return batch, self.targets(channel, clean, rms, labels)

    def rms(self, seen: Complex) -> npt.NDArray[np.float32]:
        """The scale g of each sample: float32 [n], or [n, links] where each link is scaled by itself.

        Parameters
        ----------
        seen : complex64 ndarray [n, m]
            The clean observed part.
        """
        if not self.scale:
            return np.ones(len(seen), dtype=np.float32)
        power = np.mean(seen.real.astype(np.float64) ** 2 + seen.imag.astype(np.float64) ** 2, axis=1)
        if np.any(power == 0):
            raise DatasetError("A sample of the split has no observed energy.", where=self.spec.name)
        return np.asarray(np.sqrt(power), dtype=np.float32)


def _seen(values: Complex, mask: npt.NDArray[np.bool_] | None) -> Complex:
    """The observed entries, [n, m]."""
    return values.reshape(len(values), -1) if mask is None else values[:, mask]


def _placed(seen: Complex, mask: npt.NDArray[np.bool_]) -> Complex:
    """Observed entries [n, m] at their places [n, …]; 0 elsewhere."""
    out = np.zeros((len(seen), *mask.shape), dtype=seen.dtype)
    out[:, mask] = seen
    return out


def _per_sample(factor: npt.NDArray[Any], like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return factor.reshape(*factor.shape, *(1,) * (like.ndim - factor.ndim))


def family_class(spec: TaskSpec) -> type[Task]:
    """The class of an instance's family, with the instance's parameters checked."""
    found = registry.load("family", spec.family)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise SpecError(f"The family {spec.family!r} is not a wbench.Task.", where=spec.name)
    found.check_params(spec)
    return found
