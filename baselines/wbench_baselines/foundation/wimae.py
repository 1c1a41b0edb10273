"""WiMAE and ContraWiMAE as embedders, with weights that the user brings."""

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
from wbench_baselines.foundation.maps import gives_features, maps_of, no_maps
from wbench_baselines.foundation.published import Published, loaded
from wbench_baselines.foundation.wimae_network import WimaeEncoder, WimaeShape

__all__ = ["ContraWimae", "Wimae"]

SOURCE = "B. Guler et al., A Multi-Task Foundation Model for Wireless Channel Representation, arXiv 2505.09160"
HOME = "nobody: train it with the authors' code, GitHub BerkIGuler/WirelessContrastiveMaskedLearning, or ask them"
#: The encoder alone is called by its own names; "module." is what parallel training prepends.
PREFIXES = {"module.encoder.": "", "encoder.": "", "module.": ""}


class Wimae(TorchEmbedder):
    """Encoder of WiMAE: patches of one map, real parts first, 12 layers of width 64.

    A map has exactly as many patches as the weights have positions (128: 32 antennas × 32 subcarriers). Several maps
    (time, receive port) run one by one. The features of a sample are the mean of its tokens, as published.

    Parameters
    ----------
    weights : path
        A checkpoint of the authors' trainer, or its state dict.
    patch : pair of int
        Antennas and subcarriers of a patch: 16 × 1 as in the paper; first versions of the code cut 1 × 16, which
        weights do not tell apart.
    heads : int
        Attention heads.
    rms : float
        Rms that the real part of a channel is scaled to. The published training data are divided by their standard
        deviation, so 1 is the mean power of that data; tasks serve every sample at the same power. Its mean, which is
        below a thousandth of that, is taken for 0.
    """

    info = ModelInfo(
        name="wbench/wimae",
        revision="1",
        kind="foundation",
        summary="WiMAE encoder, masked autoencoder on DeepMIMO; weights brought by the user",
        source=SOURCE,
        licence="code Apache-2.0; published code MIT; weights: whoever trained them",
        parameters=410_944,
        pretraining=("DeepMIMO, 3.5 GHz scenarios of the ContraWiMAE data set, 32 antennas, 32 subcarriers",),
        overlap="generator",
    )
    published: ClassVar[Published] = Published(
        name="wbench/wimae",
        home=HOME,
        file="best_checkpoint.pt",
        folder="wimae",
        prefixes=PREFIXES,
        unused=("decoder.", "contrastive_head."),
    )

    def __init__(
        self, weights: str | Path | None = None, patch: Sequence[int] = (16, 1), heads: int = 16, rms: float = 1.0
    ) -> None:
        state = self.published.read(weights)
        shape = WimaeShape.of(state, heads, str(weights))
        if len(patch) != 2 or min(patch) < 1 or patch[0] * patch[1] != shape.values:
            why = f"got {list(patch)}, the weights read {shape.values} values"
            raise UsageError("patch is antennas × subcarriers.", where=self.info.name, why=why)
        if not 0 < rms < float("inf"):
            raise UsageError("rms is a positive number.", where=self.info.name, why=f"got {rms}")
        self.module: WimaeEncoder = loaded(lambda: WimaeEncoder(shape), state, str(weights))
        self.files = [Path(str(weights))]
        self._shape, self._patch = shape, (int(patch[0]), int(patch[1]))
        self._scale = np.float32(rms * np.sqrt(2))  # unit rms is split between two parts

    def supports(self, spec: TaskSpec) -> str | None:
        """Tasks that a head on features can answer."""
        return gives_features(spec)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """Maps that give as many patches as there are positions."""
        reason = no_maps(meta)
        if reason is not None:
            return reason
        (rows, cols), (antennas, subcarriers) = self._patch, meta.shape[-2:]
        size = f"{antennas} × {subcarriers}"
        if antennas % rows or subcarriers % cols:
            return f"cuts patches of {rows} × {cols}; the task's maps are {size}"
        tokens = 2 * antennas * subcarriers // (rows * cols)
        if tokens == self._shape.places:
            return None
        return f"has learned {self._shape.places} positions; the task's maps of {size} give {tokens} patches"

    def inputs(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        """``patches`` float32 [n, map, patch, value]: those of the real part, then those of the imaginary part."""
        maps = maps_of(batch.x["H"], batch.meta) * self._scale
        (rows, cols), (n, count, antennas, subcarriers) = self._patch, maps.shape
        parts = np.stack([maps.real, maps.imag], axis=2).astype(np.float32)
        cut = parts.reshape(n, count, 2, antennas // rows, rows, subcarriers // cols, cols)
        return {"patches": cut.transpose(0, 1, 2, 3, 5, 4, 6).reshape(n, count, -1, self._shape.values)}

    def forward_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features [n, map · patch, d]; the maps of a sample follow one another."""
        patches = inputs["patches"]
        features: Tensor = self.module(patches.flatten(0, 1))
        return features.view(len(patches), -1, features.shape[2])

    def layers(self) -> Sequence[nn.Module]:
        """Embedding with positions, encoder layers."""
        first = nn.ModuleList([self.module.linear_1, self.module.positional_encoding])
        return [first, *self.module.transformer.layers]


class ContraWimae(Wimae):
    """Encoder of ContraWiMAE: that of WiMAE, trained on with a contrastive loss, whose head the file has to hold."""

    info = ModelInfo(
        name="wbench/contrawimae",
        revision="1",
        kind="foundation",
        summary="ContraWiMAE encoder, contrastive and masked autoencoder on DeepMIMO; weights brought by the user",
        source=SOURCE,
        licence=Wimae.info.licence,
        parameters=410_944,
        pretraining=Wimae.info.pretraining,
        overlap="generator",
    )
    published: ClassVar[Published] = Published(
        name="wbench/contrawimae",
        home=HOME,
        file="best_checkpoint.pt",
        folder="contrawimae",
        prefixes=PREFIXES,
        unused=("decoder.", "contrastive_head."),
        marks=("contrastive_head.",),
    )
