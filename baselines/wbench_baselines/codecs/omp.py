"""Orthogonal matching pursuit in an oversampled angle-delay dictionary.

Sources: Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad, "Orthogonal Matching Pursuit", Asilomar 1993 (the pursuit);
Y. C. Eldar, P. Kuppinger, H. Bölcskei, "Block-Sparse Signals", IEEE Trans. Signal Process. 58(6), 2010, Sec. V (blocks:
here the real and the imaginary part of one complex atom); dictionaries of paths: W. U. Bajwa et al., "Compressed
Channel Sensing", Proc. IEEE 98(6), 2010, Sec. III.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Encoder, ModelInfo, Payload, TrainingData
from wbench.task.batch import ChannelMeta
from wbench.task.spec import TaskSpec
from wbench_baselines.codecs.common import needs_reals, stack_reals
from wbench_baselines.codecs.measurement import measurement
from wbench_baselines.codecs.omp_solver import Omp, Path
from wbench_baselines.codecs.tuning import choose_among

__all__ = ["OmpCodec", "OmpDecoder", "path_dictionary", "tap_response"]

Complex = npt.NDArray[np.complexfloating[Any, Any]]

OVERSAMPLING = (
    2  # atoms per tap and axis: a path between two taps is then never further than a quarter tap from an atom
)
FEWEST_REALS_PER_ATOM = 4  # an atom costs three unknowns (a place, two amplitudes): more atoms fit noise
TUNING_SAMPLES = 128


def tap_response(taps: int, oversampling: int, length: int | None, sign: int) -> Complex:
    """Responses of the taps of a DFT to places between them, complex128 [taps, oversampling·taps], of norm 1.

    Parameters
    ----------
    taps : int
        Taps that are kept, from the first on.
    oversampling : int
        Places per tap, the tap itself among them.
    length : int or None
        Length N of the unitary DFT; None for the limit N → ∞ (a sinc), which needs no N that the model does not know.
    sign : int
        Sign of the exponent of the DFT: +1 for delay, -1 for angle (:mod:`wbench.channel.angular_delay`).

    Notes
    -----
    (1/N) Σ_k e^{±j2πk(d-p)/N} = e^{±jπ(d-p)(N-1)/N} sin(π(d-p)) / (N sin(π(d-p)/N)), by the geometric series.
    """
    place = np.arange(taps * oversampling) / oversampling
    offset = np.arange(taps)[:, None] - place
    if length is None:
        response = np.sinc(offset) * np.exp(1j * sign * np.pi * offset)
    else:
        k = np.arange(length)
        response = np.exp(2j * np.pi * sign * offset[..., None] * k / length).mean(axis=-1)
    return np.asarray(response / np.linalg.norm(response, axis=0))


def path_dictionary(shape: tuple[int, int], oversampling: int = OVERSAMPLING) -> tuple[Complex, Complex]:
    """Atoms of single paths in the cropped image, as two factors: atom (p, q) is delay[:, p] ⊗ angle[:, q].

    Delay is cropped from a DFT that is much longer than the crop, angle is a whole DFT.
    """
    delays, angles = shape
    return tap_response(delays, oversampling, None, +1), tap_response(angles, oversampling, angles, -1)


@dataclass(frozen=True, eq=False)
class OmpDecoder:
    """Payloads → channels: pursue ``atoms`` atoms, then add them up.

    Attributes
    ----------
    solver : Omp
        Measured dictionary.
    delay, angle : complex64 ndarray [delay, P], [angle, Q]
        Factors of the dictionary; atom p·Q + q.
    atoms : int
        Atoms per sample.
    """

    solver: Omp
    delay: npt.NDArray[np.complex64]
    angle: npt.NDArray[np.complex64]
    atoms: int

    def __call__(self, payloads: Sequence[Payload]) -> npt.NDArray[np.complexfloating[Any, Any]]:
        """Channels complex64 [n, delay, angle]."""
        return self.expand(self.solver.solve(stack_reals(payloads, self.solver.measurements), self.atoms))

    def expand(self, path: Path, atoms: int | None = None) -> npt.NDArray[np.complex64]:
        """Channels of the first ``atoms`` atoms of a path (None: all), each with its least-squares coefficients."""
        coefficients = path.coefficients(self.atoms if atoms is None else atoms)
        gain = coefficients[..., 0] + 1j * coefficients[..., 1]
        support = path.support[:, : gain.shape[1]]
        p, q = np.divmod(support, self.angle.shape[1])
        left, right = self.delay.T[p], self.angle.T[q]  # [n, atoms, delay], [n, atoms, angle]
        weighted = (gain[..., None] * left).astype(np.complex64)
        return np.asarray(weighted.swapaxes(1, 2) @ right)


class OmpCodec(Codec):
    """Complex OMP over paths between the taps; the number of atoms is the only fitted number."""

    info = ModelInfo(
        name="wbench/omp",
        revision="1",
        kind="classical",
        summary="Random measurement, complex OMP in an oversampled angle-delay dictionary; atoms chosen on validation",
        source="Pati, Rezaiifar, Krishnaprasad 1993; pairs as blocks: Eldar, Kuppinger, Bölcskei 2010, Sec. V",
        licence="Apache-2.0",
        trains=True,
        parameters=1,
    )

    def supports(self, spec: TaskSpec) -> str | None:
        """Serve tasks that limit real numbers to what one atom needs or more."""
        return needs_reals(spec, least=FEWEST_REALS_PER_ATOM)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Draw the task's measurement and measure the dictionary."""
        super().setup(spec, meta)
        if len(meta.shape) != 2:
            raise ModelError("OMP needs angle-delay images.", where=f"task {spec.name}", why=f"shape {meta.shape}")
        self.measurement = measurement(spec, meta)
        delay, angle = path_dictionary((meta.shape[0], meta.shape[1]))
        self.factors = delay.astype(np.complex64), angle.astype(np.complex64)
        atoms = np.einsum("dp,aq->pqda", delay, angle).reshape(delay.shape[1] * angle.shape[1], -1)
        # One complex gain c = a + jb on atom d adds a·A[Re d; Im d] + b·A[-Im d; Re d] to y: two real columns.
        parts = np.stack([np.hstack([atoms.real, atoms.imag]), np.hstack([-atoms.imag, atoms.real])], axis=1)
        matrix = self.measurement.matrix.astype(np.float64)
        self.solver = Omp.of_blocks((parts.reshape(-1, parts.shape[-1]) @ matrix.T).reshape(-1, 2, len(matrix)))
        self.most = len(matrix) // FEWEST_REALS_PER_ATOM
        self.atoms: int | None = None

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Choose the number of atoms: the path is nested, so one pursuit gives the error of every number."""
        grid = self.candidates()
        whole = OmpDecoder(self.solver, *self.factors, grid[-1])

        def every(payloads: Sequence[Payload]) -> Any:
            path = self.solver.solve(stack_reals(payloads, self.solver.measurements), grid[-1])
            return (whole.expand(path, atoms) for atoms in grid)

        self.atoms = choose_among(self, "atoms", grid, every, self.measurement, val, TUNING_SAMPLES)

    def candidates(self) -> list[int]:
        """Numbers of atoms that are tried, at most 32, denser where they are few."""
        return sorted({round(self.most * (k / 24) ** 1.5) for k in range(1, 25)} - {0}) or [1]

    def encoder(self) -> Encoder:
        """Measure."""
        return self.measurement

    def decoder(self) -> Decoder:
        """Reconstruct with the chosen number of atoms."""
        if self.atoms is None:
            raise ModelError(f"{self.info.name} has no number of atoms yet.", next_step="call fit() first")
        return OmpDecoder(self.solver, *self.factors, self.atoms)
