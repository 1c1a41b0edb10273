"""Two-sided feedback: an encoder and a decoder that come apart, even from different authors.

An :class:`EncoderPart` runs at the UE, a :class:`DecoderPart` at the base station; each has a ``ModelInfo`` of its own,
and both declare the :class:`PayloadFormat` that they have agreed on. :func:`load` makes one
:class:`~wbench.model.Codec` of a pair ``ENCODER -> DECODER``, which the harness runs like any other: the decoder in a
process of its own, with nothing but one payload per sample.

TR 38.843 calls these the UE-part and the network-part of a two-sided model. If the decoder trains, it is trained on the
encoder's payloads beside the channels (there: separate training that starts at the UE).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError, PluginError, UsageError
from wbench.model import Codec, Decoder, Encoder, Model, ModelInfo, Payload, TrainingData, load_model
from wbench.model_folder import find_folder
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec

__all__ = [
    "DecoderPart",
    "EncoderPart",
    "PayloadData",
    "PayloadFormat",
    "TwoSided",
    "absolute",
    "load",
    "pair",
    "split",
]

#: Between the two references of a pair.
ARROW = " -> "
#: Worst first.
_OVERLAPS = ("dataset", "scenario", "generator", "none")


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """What encoder and decoder have agreed on.

    Attributes
    ----------
    name : str
        Of the agreement, with its version: ``"acme/latent-3"``. Equal names mean equal meaning of every bit.
    bits : int or None
        Of every payload; None where they differ from sample to sample, up to the task's limit.
    """

    name: str
    bits: int | None = None

    def __str__(self) -> str:
        return f"{self.name} of {self.bits} bits" if self.bits is not None else f"{self.name} of any length"


class PayloadData(Protocol):
    """A part of the training or validation side as a decoder sees it: payloads and the channels behind them."""

    @property
    def meta(self) -> ChannelMeta:
        """Numerology, arrays and shapes."""
        ...

    def __len__(self) -> int: ...

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[list[Payload], Truth]]:
        """Payloads and targets, shuffled if a generator is given."""
        ...


class EncoderPart(Model):
    """The half at the UE. ``fit`` as in any model, if ``info.trains``; it is fitted before the decoder."""

    @abstractmethod
    def payload_format(self, spec: TaskSpec) -> PayloadFormat:
        """What it sends in this task; asked before :meth:`setup`."""

    @abstractmethod
    def encode(self, batch: Batch) -> Sequence[Payload]:
        """One payload per sample, which hangs on that sample alone."""


class DecoderPart(Model):
    """The half at the base station. It must pickle after :meth:`setup` and :meth:`learn`: its process is another."""

    @abstractmethod
    def payload_format(self, spec: TaskSpec) -> PayloadFormat:
        """What it reads in this task; asked before :meth:`setup`."""

    @abstractmethod
    def decode(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Reconstructions, complex [n, *meta.shape]; each hangs on its own payload alone."""

    def learn(self, train: PayloadData, val: PayloadData, seed: int) -> None:
        """Train on payloads of the encoder at hand; called only if ``info.trains``."""


class TwoSided(Codec):
    """Codec of an encoder and a decoder.

    Its name, revision and licence are those of both; what was trained, pre-trained on and counted is the sum.
    """

    def __init__(self, encoder: EncoderPart, decoder: DecoderPart) -> None:
        self.sides = (encoder, decoder)
        self.sender, self.receiver = encoder, decoder
        self.info = _joined(encoder.info, decoder.info)  # type: ignore[misc]

    def check_formats(self, spec: TaskSpec) -> PayloadFormat:
        """The format that both sides declare for a task.

        Raises
        ------
        UsageError
            They declare different ones, or one that the task's limit does not allow.
        """
        sent, read = (side.payload_format(spec) for side in self.sides)
        names = f"{self.sender.info.name} and {self.receiver.info.name} on {spec.name}"
        if not (isinstance(sent, PayloadFormat) and isinstance(read, PayloadFormat)):
            why = f"they declare {sent!r} and {read!r}"
            raise PluginError("payload_format() must return a PayloadFormat.", where=names, why=why)
        if sent != read:
            raise UsageError(
                "Encoder and decoder have agreed on different payloads.",
                where=names,
                why=f"the encoder sends {sent}, the decoder reads {read}",
                next_step="pair sides with the same payload_format(): its name and its bits",
            )
        if sent.bits is not None and spec.limit is not None and not 0 <= sent.bits <= spec.limit.max_bits:
            why = f"{sent.bits} bits, the task allows {spec.limit.max_bits}"
            raise UsageError("The payloads are longer than the task allows.", where=names, why=why)
        return sent

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve what both sides serve.

        Raises
        ------
        UsageError
            They do, but cannot understand each other.
        """
        if spec.kind != "compress":
            return "compresses channels; the task is not a compression task"
        for side, role in zip(self.sides, ("encoder", "decoder"), strict=True):
            reason = side.supports(spec)
            if reason is not None:
                return f"the {role} {side.info.name} {reason}" if isinstance(reason, str) else reason
        self.check_formats(spec)
        return None

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Take the shapes that both sides take."""
        for side, role in zip(self.sides, ("encoder", "decoder"), strict=True):
            reason = side.accepts(meta)
            if reason is not None:
                return f"the {role} {side.info.name} {reason}" if isinstance(reason, str) else reason
        return None

    def move(self, device: str) -> None:
        """Move both sides."""
        for side in self.sides:
            side.move(device)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Set both sides up."""
        super().setup(spec, meta)
        self.format = self.check_formats(spec)
        for side in self.sides:
            side.setup(spec, meta)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit the encoder if it trains, then the decoder on its payloads if that trains."""
        if self.sender.info.trains:
            self.sender.fit(train, val, seed)
        if self.receiver.info.trains:
            encode = self.encoder()
            self.receiver.learn(_Encoded(encode, train), _Encoded(encode, val), seed)
        self.searches = [*self.sender.searches, *self.receiver.searches]

    def encoder(self) -> Encoder:
        """The encoder, whose payloads have the bits that were agreed on."""
        return _Checked(self.sender, self.format)

    def decoder(self) -> Decoder:
        """The decoder."""
        return self.receiver.decode

    def count_parameters(self) -> int:
        """Of both sides; a codec that lends one half counts as a whole, and once if it lends both."""
        sides = self.sides[:1] if self.sender.info == self.receiver.info else self.sides
        return sum(side.count_parameters() for side in sides)

    def count_trained_parameters(self) -> int:
        """Those that were trained here."""
        sides = self.sides[:1] if self.sender.info == self.receiver.info else self.sides
        return sum(side.count_trained_parameters() for side in sides)


@dataclass(frozen=True, eq=False)
class _Checked:
    """An encoder whose payloads are held to the format."""

    part: EncoderPart
    format: PayloadFormat

    def __call__(self, batch: Batch) -> list[Payload]:
        payloads = list(self.part.encode(batch))
        bits = self.format.bits
        wrong = [p.bits for p in payloads if bits is not None and isinstance(p, Payload) and p.bits != bits]
        if wrong:
            why = f"agreed is {self.format}, a payload has {wrong[0]} bits"
            raise ModelError("A payload is not of the agreed format.", where=self.part.info.name, why=why)
        return payloads


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Training data with payloads for observations."""

    encode: Encoder
    data: TrainingData

    @property
    def meta(self) -> ChannelMeta:
        return self.data.meta

    def __len__(self) -> int:
        return len(self.data)

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[list[Payload], Truth]]:
        for batch, truth in self.data.batches(size, rng):
            yield list(self.encode(batch)), truth


class _Half(Model):
    """One half of a codec of a single author."""

    def __init__(self, codec: Codec) -> None:
        self.codec, self.info = codec, codec.info  # type: ignore[misc]

    def payload_format(self, spec: TaskSpec) -> PayloadFormat:
        """That of the codec, which only its own halves know unless it declares one."""
        declared = getattr(self.codec, "payload_format", None)
        return declared(spec) if declared is not None else PayloadFormat(f"{self.info.name}@{self.info.revision}")

    def supports(self, spec: TaskSpec) -> str | None:
        return self.codec.supports(spec)

    def accepts(self, meta: ChannelMeta) -> str | None:
        return self.codec.accepts(meta)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        self.codec.setup(spec, meta)

    def move(self, device: str) -> None:
        self.codec.move(device)

    def count_parameters(self) -> int:
        return self.codec.count_parameters()


class _EncoderOf(_Half, EncoderPart):
    """The encoder; if the codec trains, both its halves are fitted together, and the decoder is left behind."""

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        self.codec.fit(train, val, seed)
        self.searches = self.codec.searches

    def encode(self, batch: Batch) -> Sequence[Payload]:
        return self.codec.encoder()(batch)


class _DecoderOf(_Half, DecoderPart):
    """The decoder of a codec that comes with its weights."""

    def supports(self, spec: TaskSpec) -> str | None:
        if self.codec.info.trains:
            return "is trained together with its own encoder; give it weights first"
        return self.codec.supports(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        self.codec.setup(spec, meta)
        self._decode = self.codec.decoder()

    def decode(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        return self._decode(payloads)

    def __getstate__(self) -> dict[str, Any]:
        return {"_decode": self._decode}  # the codec's encoder stays at home


def _joined(one: ModelInfo, other: ModelInfo) -> ModelInfo:
    """What a pair declares: ``ORG+ORG/ENCODER+DECODER``, both revisions, the worse overlap."""
    (org, _, name), (org2, _, name2) = one.name.partition("/"), other.name.partition("/")
    infos = (("encoder", one), ("decoder", other))
    return ModelInfo(
        name=f"{org if org == org2 else f'{org}+{org2}'}/{name}+{name2}",
        revision=f"{one.revision}+{other.revision}",
        kind=one.kind if one.kind == other.kind else "user",
        summary="; ".join(f"{role} {info.name} ({info.revision}): {info.summary}" for role, info in infos),
        source="; ".join(f"{role}: {info.source}" for role, info in infos if info.source),
        licence=one.licence if one.licence == other.licence else f"{one.licence} and {other.licence}",
        trains=one.trains or other.trains,
        stochastic=one.stochastic or other.stochastic,
        parameters=one.parameters + other.parameters,
        pretraining=tuple(dict.fromkeys((*one.pretraining, *other.pretraining))),
        pretraining_samples=_samples_seen(one, other),
        overlap=min((one.overlap, other.overlap), key=_OVERLAPS.index),
    )


def _samples_seen(one: ModelInfo, other: ModelInfo) -> int:
    """Samples of both pre-trainings, each once; 0 (not known) where one has no number, or they may overlap."""
    if one.pretraining == other.pretraining and one.pretraining_samples == other.pretraining_samples:
        return one.pretraining_samples
    counts = [info.pretraining_samples for info in (one, other) if info.pretraining or info.pretraining_samples]
    return 0 if 0 in counts or set(one.pretraining) & set(other.pretraining) else sum(counts)


def pair(encoder: str, decoder: str) -> str:
    """Reference of a pair, for ``--model`` and :func:`load`."""
    return f"{encoder}{ARROW}{decoder}"


def split(reference: str) -> tuple[str, str] | None:
    """The two references of a pair, None of a model that is not one."""
    encoder, arrow, decoder = reference.partition(ARROW)
    return (encoder.strip(), decoder.strip()) if arrow else None


def load(reference: str) -> Model:
    """Construct a model, or a :class:`TwoSided` codec of ``ENCODER -> DECODER``.

    Each side is a reference as for :func:`wbench.model.load_model`, of a part or of a codec: of that its encoder is
    taken, or its decoder if it comes with weights.

    Raises
    ------
    WBenchError
        Those of :func:`wbench.model.load_model`.
    UsageError
        A side is of the other kind.
    """
    sides = split(reference)
    if sides is None:
        return load_model(reference)
    encoder, decoder = (load_model(side, (EncoderPart, DecoderPart, Codec)) for side in sides)
    if isinstance(encoder, Codec):
        encoder = _EncoderOf(encoder)
    if isinstance(decoder, Codec):
        decoder = _DecoderOf(decoder)
    if not isinstance(encoder, EncoderPart):
        raise UsageError("This is no encoder.", where=sides[0], next_step="--encoder takes an EncoderPart or a Codec")
    if not isinstance(decoder, DecoderPart):
        raise UsageError("This is no decoder.", where=sides[1], next_step="--decoder takes a DecoderPart or a Codec")
    if type(decoder).learn is not DecoderPart.learn and not decoder.info.trains:
        step = "set trains=True in its ModelInfo, or remove learn()"
        raise PluginError("learn() would never be called.", where=sides[1], why="info.trains is False", next_step=step)
    return TwoSided(encoder, decoder)


def absolute(reference: str) -> str:
    """A reference whose files are found from another current folder."""
    sides = split(reference)
    if sides is not None:
        return pair(*map(absolute, sides))
    folder = find_folder(reference)
    if folder is not None:
        return str(folder.absolute())
    place, colon, name = reference.rpartition(":")
    return f"{Path(place).absolute()}{colon}{name}" if place.endswith(".py") else reference
