"""Beam searches without training: the exhaustive noisy sweep, the hierarchical sweep, and the map of angles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.channel.codebooks import beam_directions, beam_rsrp, dft_codebook
from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.beams import ArrayBeams

__all__ = ["AngleMap", "HierarchicalSweep", "NoisySweep"]

Floats = npt.NDArray[np.float64]

#: Fewest beams of the hierarchical sweep's first stage.
FIRST_STAGE = 4


def spectrum(channel: npt.NDArray[np.complex64], points: int) -> Floats:
    """Power at ``points`` spatial frequencies b/points, summed over everything but the antennas.

    Parameters
    ----------
    channel : complex64 ndarray [n, time, rx, antennas, subcarrier]
        Neighbouring antennas, at most ``points``.
    points : int
        Length of the zero-padded FFT.

    Returns
    -------
    float64 ndarray [n, points]
    """
    bins = np.fft.fft(channel.astype(np.complex128), n=points, axis=-2)
    power = np.moveaxis(bins.real**2 + bins.imag**2, -2, 1).reshape(len(channel), points, -1)
    return np.asarray(np.ascontiguousarray(power).sum(axis=-1))


class NoisySweep(ArrayBeams):
    """Sweep the whole codebook on the noisy array and take the strongest beam.

    Only where the whole array is observed, so only in diagnostic instances: what it answers is the target itself, but
    for the noise. Every beam sees the same noise of the antennas, as one observation of H has it.
    """

    info = ModelInfo(
        name="wbench/noisy-sweep",
        revision="1",
        kind="classical",
        summary="Exhaustive sweep of the codebook on the noisy, fully observed array",
        source="Exhaustive beam sweep, as P-1 of the beam management procedures in 3GPP TR 38.802",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Beam prediction that observes the whole array."""
        reason = super().supports(spec)
        if reason is None and spec.params["observed"] != spec.params["elements"]:
            return f"sweeps a whole array; {spec.params['observed']} of {spec.params['elements']} antennas are observed"
        return reason

    def predict(self, batch: Batch) -> Floats:
        """RSRP per beam: float64 [n, beams]."""
        return beam_rsrp(batch.x["H"], dft_codebook(self.elements, self.beams))


class HierarchicalSweep(ArrayBeams):
    """Start with few wide beams and refine: at every stage twice as many beams, of which three are measured.

    A stage with G beams uses G·E/B of the observed antennas (all of them in the last stages), so that its beams are as
    wide as they are apart; three beams are those around the winner of the stage before. 16 measurements instead of 64
    where 8 of 32 antennas are observed. Errors of the wide, weak first beams cannot be mended later. Beams are ranked
    by their distance from the last winner, the side of its stronger neighbour first.
    """

    info = ModelInfo(
        name="wbench/hierarchical-sweep",
        revision="1",
        kind="classical",
        summary="Hierarchical sweep: wide beams of few antennas first, then three narrower ones per stage",
        source="Alkhateeb et al., IEEE J. Sel. Top. Signal Process. 8(5), 2014; "
        "wide beams by switched-off antennas: Xiao et al., IEEE Trans. Wirel. Commun. 15(5), 2016",
        licence="Apache-2.0",
    )

    def stages(self) -> list[tuple[int, int]]:
        """Number of beams and of antennas of each stage."""
        grids = [self.beams]
        while grids[-1] % 2 == 0 and grids[-1] // 2 >= FIRST_STAGE:
            grids.append(grids[-1] // 2)
        return [(g, min(self.observed, max(1, g * self.elements // self.beams))) for g in reversed(grids)]

    def predict(self, batch: Batch) -> Floats:
        """Minus the distance from the chosen beam: float64 [n, beams]."""
        h, rows = batch.x["H"], np.arange(len(batch))[:, None]
        chosen = np.zeros(len(batch), dtype=np.int64)
        power = np.zeros((len(batch), 3))
        for number, (beams, antennas) in enumerate(self.stages()):
            skip = (self.observed - antennas) // 2
            swept = spectrum(h[..., skip : skip + antennas, :], beams)
            if number == 0:
                chosen = np.argmax(swept, axis=1)
            else:
                around = (2 * chosen[:, None] + np.array([-1, 0, 1])) % beams
                chosen = around[rows[:, 0], np.argmax(swept[rows, around], axis=1)]
            power = swept[rows, (chosen[:, None] + np.array([-1, 0, 1])) % beams]
        side = np.where(power[:, 2] >= power[:, 0], 0.25, -0.25)
        offset = (np.arange(self.beams) - chosen[:, None] + self.beams // 2) % self.beams - self.beams // 2
        return np.asarray(-np.abs(offset - side[:, None]), dtype=np.float64)


class AngleMap(Predictor):
    """Angular power spectrum of the observed band, read at the directions of the other band's beams.

    Its maximum is the maximum-likelihood angle of a single path in white noise, among the directions of the codebook;
    the other beams follow by what comes from where they point, further paths included. The two arrays are taken to look
    the same way; the one of the codebook has half a wavelength between elements. Nothing is trained: it is what
    geometry alone tells about the other band.
    """

    info = ModelInfo(
        name="wbench/angle-map",
        revision="1",
        kind="classical",
        summary="Angular power spectrum of the observed band → beams of the other band, untrained",
        source="Nitsche et al., 'Steering with eyes closed', IEEE INFOCOM 2015; "
        "angle: Rife and Boorstyn, IEEE Trans. Inf. Theory 20(5), 1974",
        licence="Apache-2.0",
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Beam prediction across bands."""
        if spec.family == "beam-crossband" and spec.kind == "classify":
            return None
        return f"maps angles to another band's beams; the task is {spec.family}, {spec.kind}"

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Point one beam of the observed array in the direction of each beam of the other band.

        Raises
        ------
        ModelError
            The observed antennas are no single-polarised linear array along the columns.
        """
        super().setup(spec, meta)
        if meta.classes is None or meta.dims[-2:] != ("tx", "subcarrier") or meta.tx.ports != meta.tx.cols:
            raise ModelError("An angle needs a linear array.", where=self.info.name, why=f"{meta.tx}, {meta.dims}")
        frequency = beam_directions(meta.classes) * meta.tx.dh / 0.5  # direction cosine · observed spacing
        phase = np.outer(np.arange(meta.tx.cols), frequency)
        self.codebook = np.asarray(np.exp(-2j * np.pi * phase) / np.sqrt(meta.tx.cols), dtype=np.complex64)

    def predict(self, batch: Batch) -> Floats:
        """Observed power from the direction of each beam: float64 [n, beams]."""
        return beam_rsrp(batch.x["H"], self.codebook)
