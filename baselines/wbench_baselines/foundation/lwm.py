"""LWM 1.0 and 1.1 as embedders, with weights that the user brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from wbench.errors import UsageError
from wbench.model import ModelInfo, TorchEmbedder
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.foundation.lwm_network import LWM_1_0, LWM_1_1, LwmNetwork, LwmShape
from wbench_baselines.foundation.maps import LAST, gives_features, maps_of, no_maps, padded
from wbench_baselines.foundation.published import Published, loaded

__all__ = ["Lwm10", "Lwm11"]

SOURCE = "S. Alikhani, G. Charan, A. Alkhateeb, Large Wireless Model (LWM), arXiv 2411.08872"
LICENCE = "code Apache-2.0; the weights carry no licence"
CLASS_TOKEN = 0.2
#: The published scale of channels; part of the model, like the weights.
SCALE = 1e6
Maps = npt.NDArray[np.complex64]
Tokens = npt.NDArray[np.float32]


class _Lwm(TorchEmbedder):
    """What both versions share.

    Parameters
    ----------
    weights : path
        The published file.
    path_loss_db : float
        LWM reads channels × 10⁶, path loss included; tasks serve them at unit rms. Every channel is scaled to this path
        loss, by default the middle between 85 dB (line of sight at 100 m) and 115 dB (none at 200 m) of TR 38.901 UMi
        at 3.5 GHz. Ours, not published.
    """

    published: ClassVar[Published]
    shape: ClassVar[LwmShape]
    #: Antennas and subcarriers of a patch, and tokens that it gives.
    rule: ClassVar[tuple[int, int]]
    per_patch: ClassVar[int] = 1

    def __init__(self, weights: str | Path | None = None, path_loss_db: float = 100.0) -> None:
        state = self.published.read(weights)
        if not 0 <= path_loss_db <= 300:
            why = f"got {path_loss_db}"
            raise UsageError("path_loss_db is a path loss in dB.", where=self.info.name, why=why)
        self.module: LwmNetwork = loaded(lambda: LwmNetwork(self.shape), state, str(weights))
        self.files = [Path(str(weights))]
        self._scale = np.float32(SCALE * 10 ** (-path_loss_db / 20))

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks that a head on features can answer."""
        return gives_features(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn how many tokens a map has."""
        super().setup(spec, meta)
        rows, cols = self.rule
        self._per_map = 1 + -(-meta.shape[-2] // rows) * -(-meta.shape[-1] // cols) * self.per_patch

    def inputs(self, batch: Batch) -> dict[str, Tokens]:
        """``tokens`` float32 [n, map, 1 + patch, value], the class token first."""
        maps = maps_of(batch.x["H"], batch.meta)
        patches = self.patches(maps.reshape(-1, *maps.shape[2:]) * self._scale)
        start = np.full((len(patches), 1, patches.shape[2]), CLASS_TOKEN, dtype=np.float32)
        return {"tokens": np.concatenate([start, patches], axis=1).reshape(*maps.shape[:2], -1, patches.shape[2])}

    def patches(self, maps: Maps) -> Tokens:
        """Patches float32 [n, patch, value] of scaled maps [n, antenna, subcarrier]."""
        raise NotImplementedError

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features [n, map · (1 + patch), d]; the maps of a sample follow one another."""
        tokens = inputs["tokens"]
        features: Tensor = self.module(tokens.flatten(0, 1))
        return features.view(len(tokens), -1, features.shape[2])

    def pool(self, tokens: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The class token; the mean of those of several maps."""
        chosen: npt.NDArray[np.float32] = tokens[:, :: self._per_map].mean(axis=1)
        return chosen

    def layers(self) -> Sequence[nn.Module]:
        """Embedding, encoder layers."""
        return [self.module.embedding, *self.module.layers]


class Lwm10(_Lwm):
    """LWM 1.0: 128 tokens of 16 real values and a class token, 12 layers of width 64; 603 712 parameters.

    A map is 32 antennas × 32 subcarriers, exactly: positions are learned for that size. Its real parts are cut into
    tokens of 16 subcarriers of one antenna, then its imaginary parts. Several maps (time, receive port) run one by one.
    """

    info = ModelInfo(
        name="wbench/lwm-1.0",
        revision="1",
        kind="foundation",
        summary="Large Wireless Model 1.0, masked channel modelling on DeepMIMO; weights brought by the user",
        source=SOURCE,
        licence=LICENCE,
        parameters=603_712,
        pretraining=(
            "DeepMIMO, 15 scenarios at 3.5 GHz, 32 antennas, 32 subcarriers (O1, Boston5G, ASU campus, cities)",
            "not seen: Denver, Indianapolis, Oklahoma, Fort Worth, Santa Clara, San Diego",
        ),
        overlap="generator",
    )
    published = Published(
        name="wbench/lwm-1.0",
        home="the Wireless Intelligence Lab, model repository wi-lab/lwm of Hugging Face",
        file="model_weights.pth",
        folder="lwm-1.0",
        prefixes={"module.": ""},
    )
    shape = LWM_1_0
    rule = (1, 16)
    per_patch = 2

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Maps of 32 × 32."""
        if meta.dims[-2:] == LAST and meta.shape[-2:] != (32, 32):
            return f"reads maps of 32 × 32; the task's are {meta.shape[-2]} × {meta.shape[-1]}"
        return no_maps(meta)

    def patches(self, maps: Maps) -> Tokens:
        """Real parts, then imaginary parts, 16 subcarriers of one antenna a token: [n, 128, 16]."""
        parts = np.stack([maps.real, maps.imag], axis=1).astype(np.float32)
        return parts.reshape(len(maps), -1, self.shape.length)


class Lwm11(_Lwm):
    """LWM 1.1: patches of 4 × 4 and a class token, 12 layers of width 128; 2 470 304 parameters.

    Maps of any size up to 512 patches; antennas and subcarriers are padded with zeros at the end to multiples of 4, as
    published. Several maps (time, receive port) run one by one.
    """

    info = ModelInfo(
        name="wbench/lwm-1.1",
        revision="1",
        kind="foundation",
        summary="Large Wireless Model 1.1, maps of any size, DeepMIMO; weights brought by the user",
        source=f"{SOURCE}, version 1.1",
        licence=LICENCE,
        parameters=2_470_304,
        pretraining=(
            "DeepMIMO, as 1.0, and Charlotte, Denver, Oklahoma, Indianapolis, Fort Worth, Santa Clara, San Diego",
            "20 sizes from 8 × 32 to 128 × 64, several base stations, users every metre",
        ),
        overlap="generator",
    )
    published = Published(
        name="wbench/lwm-1.1",
        home="the Wireless Intelligence Lab, model repository wi-lab/lwm-v1.1 of Hugging Face, folder models",
        file="model.pth",
        folder="lwm-1.1",
        prefixes={"module.": ""},
    )
    shape = LWM_1_1
    rule = (4, 4)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Maps of at most 512 patches."""
        reason = no_maps(meta)
        if reason is not None:
            return reason
        rows, cols = self.rule
        patches = -(-meta.shape[-2] // rows) * -(-meta.shape[-1] // cols)
        if patches < self.shape.places:
            return None
        size = f"{meta.shape[-2]} × {meta.shape[-1]}"
        return f"reads {self.shape.places - 1} patches of 4 × 4; the task's maps of {size} have {patches}"

    def patches(self, maps: Maps) -> Tokens:
        """Patches row by row; in a patch, antennas, then subcarriers, then real and imaginary part: [n, patch, 32]."""
        rows, cols = self.rule
        whole = padded(padded(maps, 1, rows), 2, cols)
        n, antennas, subcarriers = whole.shape
        parts = np.stack([whole.real, whole.imag], axis=-1).astype(np.float32)
        cut = parts.reshape(n, antennas // rows, rows, subcarriers // cols, cols, 2).transpose(0, 1, 3, 2, 4, 5)
        return cut.reshape(n, -1, self.shape.length)
