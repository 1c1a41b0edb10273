"""WiFo as a predictor and as an embedder, with weights that the user brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor, TorchEmbedder
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.foundation.maps import gives_features, no_maps, padded
from wbench_baselines.foundation.published import Published, in_full_passes, loaded
from wbench_baselines.foundation.wifo_network import WifoEncoder, WifoNetwork, WifoShape, masked_places
from wbench_baselines.prediction.common import axis_of, only_prediction

__all__ = ["Wifo", "WifoFeatures"]

#: Sizes by width.
SIZES = {64: "tiny", 128: "little", 256: "small", 512: "base", 768: "large"}
PREFIXES = {"module.": "", "Embedding.value_embedding.tokenConv.": "patches."}
#: Tables of older kinds of positions, embeddings of hours and weekdays, a second head: in the files, never used.
UNUSED = ("pos_embed_", "decoder_pos_embed_", "decoder_pred_dual.", "Embedding.temporal_embedding.")
INFO = ModelInfo(
    name="wbench/wifo",
    revision="1",
    kind="foundation",
    summary="WiFo, masked autoencoder over time, antennas and subcarriers; weights brought by the user",
    source="B. Liu et al., WiFo: Wireless Foundation Model for Channel Prediction, SCIS 68(6) 162302, 2025",
    licence="code Apache-2.0; weights: no licence in the authors' repository",
    pretraining=("WiFo's 16 QuaDRiGa configurations D1 to D16 (all but D17, D18, D19)",),
    pretraining_samples=160_000,
    overlap="scenario",
)
HOME = "B. Liu et al., model repository liuboxun/WiFo of Hugging Face, beside tiny, little, small and large"


def published(name: str, folder: str, *unused: str) -> Published:
    """Where WiFo's weights come from; ``unused`` are parts that the model ``name`` does without."""
    return Published(name, HOME, "wifo_base.pkl", folder, PREFIXES, (*UNUSED, *unused))


def panel(channel: npt.NDArray[np.complex64], meta: ChannelMeta) -> npt.NDArray[np.complex64]:
    """Channel [n, time, rx, tx, subcarrier] as WiFo orders it: [n, time, rx · polarisation, antenna, subcarrier].

    WiFo's data count the elements of a column the other way round than wbench does: with the published weights this
    order has the lower error on all planar arrays tried (see docs/published-models.md).
    """
    n, time, rx, _, subcarriers = channel.shape
    grid = channel.reshape(n, time, rx * meta.tx.polarisations, meta.tx.cols, meta.tx.rows, subcarriers)
    return grid[..., ::-1, :].reshape(n, time, rx * meta.tx.polarisations, -1, subcarriers)


def unpanel(maps: npt.NDArray[np.complex64], meta: ChannelMeta) -> npt.NDArray[np.complex64]:
    """Undo :func:`panel`."""
    n, time, receivers, _, subcarriers = maps.shape
    grid = maps.reshape(n, time, receivers, meta.tx.cols, meta.tx.rows, subcarriers)[..., ::-1, :]
    return grid.reshape(n, time, receivers // meta.tx.polarisations, -1, subcarriers)


def images(maps: npt.NDArray[np.complex64]) -> npt.NDArray[np.float32]:
    """Real and imaginary part of maps [n, time, m, antenna, subcarrier]: [n, m, 2, time, antenna, subcarrier]."""
    return np.stack([maps.real, maps.imag], axis=2).astype(np.float32).transpose(0, 3, 2, 1, 4, 5)


def not_panel(meta: ChannelMeta) -> str | None:
    """Why a channel is no series of antenna × subcarrier maps; None if it is."""
    if meta.dims != ("time", "rx", "tx", "subcarrier"):
        return no_maps(meta) or f"needs time, rx, tx, subcarrier; the task's dimensions are {', '.join(meta.dims)}"
    if meta.tx.ports != meta.shape[2]:
        return f"needs the whole transmit array; the task shows {meta.shape[2]} of {meta.tx.ports} ports"
    return None


class Wifo(Predictor):
    """Zero-shot prediction of later snapshots, or higher subcarriers, by the masked autoencoder.

    What is seen are whole patches of 4 snapshots × 4 antennas × 4 subcarriers; those that are not are decoded from the
    mask token. Samples come at unit rms over what is seen, which is WiFo's scale (data of unit variance). Receive ports
    and polarisations are predicted one by one. The published ``forward``, which adds noise relative to the batch, is
    not used: the task adds its own.

    Parameters
    ----------
    weights : path
        The published file of any size; the size is read off it.
    heads : int
        Attention heads; 8 in all published sizes.
    """

    info = INFO
    samples_per_pass = 16

    def __init__(self, weights: str | Path | None = None, heads: int = 8) -> None:
        state = published("wbench/wifo", "wifo-base").read(weights)
        shape = WifoShape.of(state, heads, str(weights))
        self.network = loaded(lambda: WifoNetwork(shape), state, str(weights))
        self.files = [Path(str(weights))]
        count = sum(weight.numel() for weight in self.network.parameters())
        name = f"wbench/wifo-{SIZES.get(shape.width, shape.width)}"
        self.info = replace(INFO, name=name, parameters=count)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Prediction tasks whose seen part ends with a patch."""
        reason = only_prediction(spec)
        axis = axis_of(spec)
        patch = self.network.shape.patch[0 if axis == "time" else 2]
        past = int(spec.params.get("past", 8))
        if reason is None and past % patch:
            unit = "snapshots" if axis == "time" else "subcarriers"
            return f"cuts patches of {patch} {unit}; the task shows {past}"
        return reason

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Whole patches in all three dimensions."""
        reason = not_panel(meta)
        if reason is not None:
            return reason
        size = (meta.shape[0], meta.tx.rows * meta.tx.cols, meta.shape[3])
        if any(have % patch for have, patch in zip(size, self.network.shape.patch, strict=True)):
            patches = " × ".join(map(str, self.network.shape.patch))
            return f"cuts patches of {patches}; the task's maps are {' × '.join(map(str, size))}"
        return None

    def move(self, device: str) -> None:
        """Move the network."""
        self.network.to(device)

    def predict(self, batch: Batch) -> npt.NDArray[np.complex64]:
        """What is seen as it came, the rest predicted: complex64 [n, time, rx, tx, subcarrier]."""
        maps = images(panel(batch.x["H"], batch.meta))
        n, receivers = maps.shape[:2]
        flat = maps.reshape(-1, *maps.shape[2:])
        seen, places = self._mask(batch)
        device = next(self.network.parameters()).device
        parts = []
        with torch.inference_mode():
            for part, real in in_full_passes(flat, self.samples_per_pass):
                x = part.to(device)
                tokens = self.network.encode(x, seen.to(device), places.to(device))
                parts.append(self.network.decode(tokens, seen.to(device), self.network.grid(x))[:real].cpu().numpy())
        whole = np.concatenate(parts).reshape(n, receivers, *maps.shape[2:]).transpose(0, 3, 1, 2, 4, 5)
        answer = unpanel(np.ascontiguousarray(whole[:, :, :, 0] + 1j * whole[:, :, :, 1]), batch.meta)
        return np.where(batch.x["observed"], batch.x["H"], answer).astype(np.complex64)

    def _mask(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Numbers of the patches that are seen, and whose positions the encoder gives them."""
        axis: Literal["time", "frequency"] = "time" if axis_of(self.spec) == "time" else "frequency"
        observed = batch.x["observed"]
        shown = np.asarray(observed.all(axis=(1, 2)))  # [time, subcarrier]; antennas are all seen, or none
        (u, p, q), (time, subcarriers) = self.network.shape.patch, shown.shape
        grid = (time // u, batch.meta.tx.rows * batch.meta.tx.cols // p, subcarriers // q)
        cut = shown.reshape(grid[0], u, grid[2], q).transpose(0, 2, 1, 3).reshape(grid[0], 1, grid[2], -1)
        whole = cut.all(axis=-1)
        if not (np.array_equal(shown, observed.any(axis=(1, 2))) and np.array_equal(whole, cut.any(axis=-1))):
            raise ModelError("A patch is seen in part.", where=self.info.name, why="what is seen ends within a patch")
        seen = torch.from_numpy(np.flatnonzero(np.broadcast_to(whole, grid)))
        return seen, masked_places(seen, grid, axis)


class WifoFeatures(TorchEmbedder):
    """Tokens of WiFo's encoder, for heads; the feature of a sample is their mean (there is no class token).

    Nothing is masked. Other shapes: the last snapshot is held until there are whole patches (a snapshot is a user who
    stands still), antennas and subcarriers are padded with zeros at the end. Receive ports and polarisations run one by
    one, and their tokens follow one another.

    Parameters
    ----------
    weights, heads
        As for :class:`Wifo`.
    """

    info = replace(INFO, name="wbench/wifo-features", summary=f"Features of {INFO.summary}")

    def __init__(self, weights: str | Path | None = None, heads: int = 8) -> None:
        state = published("wbench/wifo-features", "wifo-base-features", "decoder_", "mask_token").read(weights)
        shape = WifoShape.of(state, heads, str(weights))
        self.module: WifoEncoder = loaded(lambda: WifoEncoder(shape), state, str(weights))
        self.files = [Path(str(weights))]
        name = f"wbench/wifo-{SIZES.get(shape.width, shape.width)}-features"
        self.info = replace(self.info, name=name, parameters=self.count_parameters())  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks that a head on features can answer."""
        return gives_features(spec)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Any series of antenna × subcarrier maps."""
        return not_panel(meta)

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        """``maps`` float32 [n, map, 2, time, antenna, subcarrier], whole patches in the last three."""
        maps = images(panel(batch.x["H"], batch.meta))
        u, p, q = self.module.shape.patch
        held = [(0, 0)] * maps.ndim
        held[3] = (0, -maps.shape[3] % u)
        return {"maps": padded(padded(np.pad(maps, held, mode="edge"), 4, p), 5, q)}

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features [n, map · patch, d]."""
        maps = inputs["maps"]
        features: Tensor = self.module.encode(maps.flatten(0, 1))
        return features.view(len(maps), -1, features.shape[2])

    def layers(self) -> Sequence[nn.Module]:
        """Embedding, encoder layers, the last one with the final norm."""
        *first, last = self.module.blocks
        return [self.module.patches, *first, nn.ModuleList([last, self.module.norm])]
