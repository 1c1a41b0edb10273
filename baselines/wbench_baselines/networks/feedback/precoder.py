"""Precoder feedback in real bits: Transformer layers over delay taps on both sides of two-bit codes.

Not one paper's network but the common sort of those that were studied for TR 38.843 (Transformer back ends, scalar
quantisers of two bits); eigenvectors per sub-band as input, squared cosine similarity as loss: W. Liu, W. Tian,
H. Xiao, S. Jin, X. Liu, J. Shen, "EVCsiNet", IEEE Wireless Commun. Lett. 10(12), 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.channel.quantise import Uniform, pack_codes, unpack_codes
from wbench.heads.trained import in_passes
from wbench.model import Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench.training import TrainingSettings
from wbench_baselines.codecs.common import check_ports, needs_precoders
from wbench_baselines.codecs.pca_quantised import align
from wbench_baselines.networks.feedback.straight_through import StraightThrough
from wbench_baselines.networks.feedback.trained import CHUNK, Autoencoder, TrainedCodec

__all__ = ["PrecoderTransformer", "from_taps", "to_taps"]

Complex = npt.NDArray[np.complexfloating[Any, Any]]
BITS, HEADS, LAYERS = 2, 4, 2


def to_taps(v: Complex, tx: ArrayMeta) -> npt.NDArray[np.float32]:
    """Precoders complex [n, sub-band, port] → real tokens float32 [n, delay tap, 2 · beam and polarisation].

    Sub-bands are turned to the one before, unitary DFTs go over sub-bands, columns and rows, and the strongest number
    is made real: no phase is left that means nothing. A token holds the real parts, then the imaginary parts; a sample
    has as much energy as complex entries.
    """
    turned = align(v).reshape(len(v), v.shape[1], tx.polarisations, tx.cols, tx.rows)
    taps = np.fft.fftn(turned, axes=(1, 3, 4), norm="ortho").reshape(v.shape) * np.sqrt(v.shape[2])
    flat = taps.reshape(len(v), -1)
    strongest = np.take_along_axis(flat, np.abs(flat).argmax(axis=1, keepdims=True), axis=1)
    taps = taps * np.exp(-1j * np.angle(strongest))[..., None]
    return np.asarray(np.concatenate([taps.real, taps.imag], axis=2), dtype=np.float32)


def from_taps(tokens: npt.NDArray[np.floating[Any]], tx: ArrayMeta) -> npt.NDArray[np.complex64]:
    """Inverse of :func:`to_taps` up to phases: complex64 [n, sub-band, port], of norm 1 per sub-band."""
    ports = tokens.shape[2] // 2
    panel = (tx.polarisations, tx.cols, tx.rows)
    taps = (tokens[..., :ports] + 1j * tokens[..., ports:]).reshape(*tokens.shape[:2], *panel)
    v = np.fft.ifftn(taps, axes=(1, 3, 4), norm="ortho").reshape(*tokens.shape[:2], ports)
    norm = np.linalg.norm(v, axis=2, keepdims=True)
    return np.asarray(v / np.where(norm > 0, norm, 1.0), dtype=np.complex64)


def _layers(width: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, HEADS, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(width), enable_nested_tensor=False)


class _Places(nn.Module):
    """A learnt vector per token."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(0.02 * torch.randn(tokens, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.place


def network(tokens: int, features: int, numbers: int, width: int) -> Autoencoder:
    """Tokens [n, tokens, features] → ``numbers`` values in (0, 1), rounded to two bits → tokens."""
    encoder = nn.Sequential(
        *(nn.Linear(features, width), _Places(tokens, width), _layers(width), nn.Flatten()),
        *(nn.Linear(tokens * width, numbers), nn.Sigmoid()),
    )
    decoder = nn.Sequential(
        *(StraightThrough(Uniform(BITS, 0.0, 1.0)), nn.Linear(numbers, tokens * width)),
        *(nn.Unflatten(1, (tokens, width)), _Places(tokens, width), _layers(width), nn.Linear(width, features)),
    )
    return Autoencoder(encoder, decoder)


@dataclass(frozen=True, eq=False)
class _Encode:
    module: nn.Module
    tx: ArrayMeta

    def __call__(self, batch: Batch) -> list[Payload]:
        device = next(self.module.parameters()).device
        with torch.inference_mode():
            tokens = torch.from_numpy(to_taps(batch.x["H"], self.tx)).to(device)
            values = in_passes(self.module.eval(), tokens).cpu().numpy() if len(batch) else np.zeros((0, 1))
        data, bits = pack_codes(Uniform(BITS, 0.0, 1.0).encode(values), BITS)
        return [Payload(one, bits) for one in data]


@dataclass(frozen=True, eq=False)
class _Decode:
    module: nn.Module
    tx: ArrayMeta
    numbers: int

    def __call__(self, payloads: Sequence[Payload]) -> Complex:
        codes = unpack_codes([payload.data for payload in payloads], BITS, self.numbers)
        values = torch.from_numpy(Uniform(BITS, 0.0, 1.0).decode(codes).astype(np.float32))
        with torch.inference_mode():
            return from_taps(in_passes(self.module.eval(), values).numpy(), self.tx)


class PrecoderTransformer(TrainedCodec):
    """Autoencoder of phase-aligned precoders in beams and delay taps; all of the limit goes into codes of two bits."""

    info = ModelInfo(
        name="wbench/precoder-transformer",
        revision="1",
        kind="network",
        summary="Transformer autoencoder over delay taps, two-bit codes, SGCS as loss",
        source="TR 38.843; Liu et al. (EVCsiNet), IEEE WCL 10(12), 2021",
        licence="Apache-2.0",
        trains=True,
        stochastic=True,
    )
    settings: ClassVar[Mapping[str, TrainingSettings]] = {
        "standard": TrainingSettings(12, 50, lr=1e-3, weight_decay=0.01)
    }
    criterion: ClassVar[str] = "sgcs"
    options: ClassVar[tuple[str, ...]] = ("width",)
    width: int = 96

    def __init__(self, setting: str = "standard", *, width: int = 96, **more: Any) -> None:
        self.width = width
        super().__init__(setting, **more)

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that feed precoders back in at least one code."""
        return needs_precoders(spec, BITS)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Check that a sample is one vector over the ports per sub-band."""
        check_ports(spec, meta)
        super().setup(spec, meta)

    def make(self) -> Autoencoder:
        """A network for the task's sub-bands, ports and bits."""
        bands, ports = self.meta.shape
        return network(bands, 2 * ports, self._numbers(), self.width)

    def read(self, data: TrainingData) -> Tensor:
        """Tokens float32 [n, delay tap, 2 · port]."""
        bands, ports = self.meta.shape
        parts = [to_taps(truth["H"], self.meta.tx) for _, truth in data.batches(CHUNK)]
        return torch.from_numpy(np.concatenate([np.zeros((0, bands, 2 * ports), np.float32), *parts]))

    def loss(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """1 − SGCS, which knows no phase of a sub-band."""
        return 1 - self._similarity(answer, wanted).mean()

    def score(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """What is missing to a similarity of 1, and 1."""
        missing = 1 - self._similarity(answer, wanted).mean(dim=1).double()
        return torch.stack([missing, torch.ones_like(missing)], dim=1)

    def shown(self, value: float) -> float:
        """SGCS."""
        return 1 - value

    def encoder(self) -> Encoder:
        """The half at the UE."""
        return _Encode(self.fitted().encoder, self.meta.tx)

    def decoder(self) -> Decoder:
        """The half at the base station."""
        return _Decode(self.fitted_decoder(), self.meta.tx, self._numbers())

    def _numbers(self) -> int:
        return (self.spec.limit.max_bits if self.spec.limit else 0) // BITS

    @staticmethod
    def _similarity(answer: Tensor, wanted: Tensor) -> Tensor:
        """Squared generalised cosine similarity [n, sub-band] of tokens; the DFT over ports does not change it."""
        a, w = (torch.complex(*one.chunk(2, dim=2)) for one in (answer, wanted))
        a, w = (torch.fft.ifft(one, dim=1, norm="ortho") for one in (a, w))
        inner = torch.sum(w.conj() * a, dim=2)
        power = torch.sum(a.abs() ** 2, dim=2) * torch.sum(w.abs() ** 2, dim=2)
        return (inner.real**2 + inner.imag**2) / power.clamp_min(1e-12)
