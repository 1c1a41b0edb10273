"""Beams of a whole array from a few of its antennas, without training.

The full array has E elements and a DFT codebook of B beams, beam b at the spatial frequency b/B; the A antennas that
are observed are neighbours. A beam of the *full* codebook restricted to them has the power
|Σ_n h[n] e^{−j2π(n+first)b/B}|², in which ``first`` is a phase that drops out: sweeping restricted full-array beams
**is** the FFT of the A antennas zero-padded to B points. There is one such method, then, and it stands here as
:class:`ZeroPaddedFFT`. A sub-array that sweeps a codebook of *its own* is coarser: :class:`SubarraySweep`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wbench.channel.codebooks import beam_rsrp, dft_codebook
from wbench.errors import ModelError
from wbench.model import ModelInfo, Predictor
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec

__all__ = ["ArrayBeams", "SubarraySweep", "ZeroPaddedFFT"]


class ArrayBeams(Predictor):
    """What they share: a linear array in part, and a DFT codebook of the whole."""

    def supports(self, spec: TaskSpec) -> str | None:
        """Beam prediction within one band, from part of a linear array."""
        missing = [name for name in ("beams", "elements", "observed") if name not in spec.params]
        if spec.kind != "classify" or missing:
            why = f"the task is {spec.family}, {spec.kind}, without {', '.join(missing) or 'classes'}"
            return f"picks a beam of a linear array seen in part; {why}"
        return None

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Learn the size of the codebook.

        Raises
        ------
        ModelError
            The observed antennas are no single-polarised linear array, or more than the codebook's.
        """
        super().setup(spec, meta)
        self.beams, self.elements = int(spec.params["beams"]), int(spec.params["elements"])
        self.observed = meta.tx.ports
        if meta.dims[-2:] != ("tx", "subcarrier") or min(meta.tx.rows, meta.tx.cols) > 1 or meta.tx.polarisations > 1:
            why = f"{meta.tx}, dimensions {meta.dims}"
            raise ModelError("A DFT codebook is for one linear array.", where=self.info.name, why=why)
        if not self.observed <= self.elements <= self.beams:
            why = f"{self.observed} antennas observed of {self.elements}, {self.beams} beams"
            raise ModelError("The antennas do not fit the codebook.", where=self.info.name, why=why)


class SubarraySweep(ArrayBeams):
    """Sweep the sub-array's own DFT beams; the strongest one names the full-array beam in its centre.

    The sub-array's codebook has the oversampling B/E of the full one, A·B/E beams (16 where 8 of 32 antennas are seen
    and 64 beams are asked for). Full-array beams between two sub-array beams score the linear interpolation of the two
    powers, whose maxima lie on the sub-array beams themselves: the answer has the sub-array's angular grid, and the
    beams beside it are ranked towards its stronger neighbour.
    """

    info = ModelInfo(
        name="wbench/subarray-sweep",
        revision="1",
        kind="classical",
        summary="Sweep of the observed sub-array's own DFT beams",
        source="Beam sweep with a coarse DFT codebook, as P-1 of the beam management procedures in 3GPP TR 38.802",
        licence="Apache-2.0",
    )

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Make the sub-array's codebook and the interpolation to the full one."""
        super().setup(spec, meta)
        swept = max(self.observed * self.beams // self.elements, 1)
        self.codebook = dft_codebook(self.observed, swept)
        place = np.arange(self.beams) * swept / self.beams
        below, part = place.astype(np.int64), place % 1.0
        self.below, self.above, self.part = below, (below + 1) % swept, part

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Interpolated power per full-array beam: float64 [n, beams]."""
        power = beam_rsrp(batch.x["H"], self.codebook)
        scores: npt.NDArray[np.float64] = power[:, self.below] * (1 - self.part) + power[:, self.above] * self.part
        return scores


class ZeroPaddedFFT(ArrayBeams):
    """Zero-pad the observed antennas to B points, FFT, power summed over everything else: bin b is beam b.

    This interpolates the sub-array's beam pattern (a Dirichlet kernel) on the full codebook's grid, and equals a sweep
    of the full-array beams restricted to the observed antennas. With one path in white noise it is the
    maximum-likelihood estimate on that grid.
    """

    info = ModelInfo(
        name="wbench/zero-padded-fft",
        revision="1",
        kind="classical",
        summary="Zero-padded FFT of the observed antennas: their beam pattern on the full grid",
        source="Rife and Boorstyn, IEEE Trans. Inf. Theory 20(5), 1974 (ML frequency estimate by zero-padded DFT)",
        licence="Apache-2.0",
    )

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Power per full-array beam: float64 [n, beams]."""
        spectrum = np.fft.fft(batch.x["H"].astype(np.complex128), n=self.beams, axis=-2)
        power = np.moveaxis(spectrum.real**2 + spectrum.imag**2, -2, 1).reshape(len(batch), self.beams, -1)
        scores: npt.NDArray[np.float64] = np.ascontiguousarray(power).sum(axis=-1)
        return scores
