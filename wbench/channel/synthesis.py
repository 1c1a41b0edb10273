"""From rays to channel frequency responses.

::

    H[b,t,r,s,k] = Σ_l e^{−j2π(f0 + k·Δf)τ_l} Σ_{p∈l} e^{+j2πν_p·t·Δt} (F_rᵀ g_p F_s) a_r(p) a_s(p)

F: field pattern of a port in (e_θ, e_φ), a: steering vector. Order of work: rays of a tap are summed (a matrix product
over the rays, for all ports and snapshots) *before* the delay step, which is a matrix product over the taps. Delay
and Doppler phases are reduced mod 1 in float64; all else is float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from wbench.channel.array import Array
from wbench.channel.front import C64, F32, TWO_PI, Front, Workspace, cis, look
from wbench.channel.ragged import RayRow, Run, ray_rows, widths
from wbench.channel.rays import Rays
from wbench.errors import SpecError

__all__ = ["Grid", "synthesize", "synthesize_bands"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Temporaries of a chunk of links should stay in the second-level cache; more links a chunk amortise Python's calls.
CHUNK_LINKS = 32
CHUNK_BYTES = 8 << 20
PRODUCT_BYTES = 1 << 18


@dataclass(frozen=True)
class Grid:
    """Subcarriers at ``first_hz + k · spacing_hz`` relative to the carrier, k = 0 … subcarriers − 1.

    Attributes
    ----------
    subcarriers : int
        Number of subcarriers K.
    spacing_hz : float
        Subcarrier spacing in Hz.
    first_hz : float
        Baseband frequency of the first subcarrier in Hz.
    """

    subcarriers: int
    spacing_hz: float
    first_hz: float = 0.0

    def __post_init__(self) -> None:
        if self.subcarriers < 1 or not self.spacing_hz > 0 or not math.isfinite(self.first_hz):
            raise SpecError("A grid needs subcarriers and a positive spacing.", where="Grid", why=repr(self))

    @classmethod
    def centred(cls, subcarriers: int, spacing_hz: float) -> Grid:
        """Grid around the carrier: k = −⌊K/2⌋ … (Sionna's ``subcarrier_frequencies``, even and odd K)."""
        return cls(subcarriers, spacing_hz, -(subcarriers // 2) * spacing_hz)

    def frequencies(self) -> npt.NDArray[np.float64]:
        """Baseband frequencies in Hz: float64 [K]."""
        return np.asarray(self.first_hz + self.spacing_hz * np.arange(self.subcarriers), dtype=np.float64)


def synthesize(
    rays: Rays,
    tx: Array,
    rx: Array,
    grid: Grid,
    time_steps: int = 1,
    time_step_s: float = 0.0,
    *,
    tx_orientation: F32 | None = None,
    rx_orientation: F32 | None = None,
) -> C64:
    """Channel frequency responses of the links of a record.

    Parameters
    ----------
    rays : Rays
        B links.
    tx, rx : Array
        Antenna arrays of the two ends.
    grid : Grid
        K subcarriers.
    time_steps, time_step_s : int, float
        T snapshots, the first at time 0, and their distance in s. Angles and delays do not move within them.
    tx_orientation, rx_orientation : float32 ndarray [B, 3], optional
        (α, β, γ) per link in rad, in place of ``Array.orient``.

    Returns
    -------
    complex64 ndarray [B, T, Rx ports, Tx ports, K]
        Amplitude gain per link; a link's numbers do not depend on the other links.

    Raises
    ------
    SpecError
        An orientation has the wrong shape, or the number of snapshots is not positive.
    """
    bands = synthesize_bands(
        rays, tx, rx, {"": grid}, time_steps, time_step_s, tx_orientation=tx_orientation, rx_orientation=rx_orientation
    )
    return bands[""]


def synthesize_bands(
    rays: Rays,
    tx: Array,
    rx: Array,
    grids: Mapping[str, Grid],
    time_steps: int = 1,
    time_step_s: float = 0.0,
    *,
    tx_orientation: F32 | None = None,
    rx_orientation: F32 | None = None,
) -> dict[str, C64]:
    """:func:`synthesize` on several grids at once; only the last of its steps is repeated per grid.

    Returns
    -------
    dict of str to complex64 ndarray [B, T, Rx ports, Tx ports, K]
        One array per name in ``grids``.
    """
    if time_steps < 1:
        raise SpecError("A channel needs at least one snapshot.", where="time_steps", why=f"{time_steps}")
    ends = (
        _orientation("tx_orientation", tx_orientation, rays.links),
        _orientation("rx_orientation", rx_orientation, rays.links),
    )
    ports = (time_steps, rx.ports, tx.ports)
    result: dict[str, C64] = {
        name: np.empty((rays.links, *ports, grid.subcarriers), np.complex64) for name, grid in grids.items()
    }
    work, width = Workspace(), widths(rays)
    if width is None:
        _fill_dense(result, rays, (tx, rx), ends, grids, (time_steps, time_step_s), work)
    else:
        _fill_padded(result, rays, width, (tx, rx), ends, grids, (time_steps, time_step_s), work)
    return result


def _fill_dense(
    result: Mapping[str, C64],
    rays: Rays,
    arrays: tuple[Array, Array],
    turns: tuple[F32 | None, F32 | None],
    grids: Mapping[str, Grid],
    times: tuple[int, float],
    work: Workspace,
) -> None:
    """Write the channels of links that all have as many rays, some links at a time."""
    tx, rx = arrays
    ports = times[0] * rx.ports * tx.ports
    size = max(1, min(CHUNK_LINKS, CHUNK_BYTES // (8 * ports * rays.taps)))
    for start in range(0, rays.links, size):
        chunk = slice(start, min(start + size, rays.links))
        part = rays.select(chunk)
        turn = [None if each is None else each[chunk] for each in turns]
        tx_front = look(tx, part.aod, part.zod, turn[0], work, "tx")
        rx_front = look(rx, part.aoa, part.zoa, turn[1], work, "rx")
        taps = _tap_gains(part, tx_front, rx_front, *times, work)
        for name, grid in grids.items():
            phases = _delay_phases(part.tau, grid, work).transpose(1, 2, 0)
            np.matmul(taps, phases, out=result[name][chunk].reshape(part.links, ports, grid.subcarriers))


def _fill_padded(
    result: Mapping[str, C64],
    rays: Rays,
    width: I64,
    arrays: tuple[Array, Array],
    turns: tuple[F32 | None, F32 | None],
    grids: Mapping[str, Grid],
    times: tuple[int, float],
    work: Workspace,
) -> None:
    """Write the channels of links of ``width`` rays each; a link's numbers do not depend on which others are near."""
    tx, rx = arrays
    ports = times[0] * rx.ports * tx.ports
    flat = {name: out.reshape(rays.links, ports, -1) for name, out in result.items()}
    for out in flat.values():
        out[width == 0] = 0
    for row in ray_rows(rays, width, 8 * max(ports, *(grid.subcarriers for grid in grids.values())), work):
        turn = [None if each is None else each[row.links] for each in turns]
        tx_front = look(tx, row.aod, row.zod, turn[0], work, "tx", row.width)
        rx_front = look(rx, row.aoa, row.zoa, turn[1], work, "rx", row.width)
        weights, right = _ray_weights(row, tx_front, rx_front, *times, work)
        taps = _outer(weights[:, None], right[None], work, "taps").reshape(ports, -1)
        for name, grid in grids.items():
            phases = _delay_phases(row.tau, grid, work)[:, 0]
            for run in row.runs():
                _products(run, run.of_rays(taps), run.of_rays(phases), flat[name], work)


def _products(run: Run, taps: C64, phases: C64, out: C64, work: Workspace) -> None:
    """Sum over the rays of each link of a run, [M, n, P] and [K, n, P], into its rows of ``out`` [B, M, K]."""
    size = max(1, PRODUCT_BYTES // (8 * out[0].size))
    for start in range(0, len(run.links), size):
        links = run.links[start : start + size]
        a = taps[:, start : start + size].transpose(1, 0, 2)
        b = phases[:, start : start + size].transpose(1, 2, 0)
        if len(links) == 1:
            np.matmul(a, b, out=out[links[0] : links[0] + 1])
        else:
            out[links] = np.matmul(a, b, out=work.c64("products", (len(links), *out.shape[1:])))


def _orientation(name: str, value: F32 | None, links: int) -> F32 | None:
    if value is not None and value.shape != (links, 3):
        raise SpecError(
            f"{name} needs one (alpha, beta, gamma) per link.", where=name, why=f"{list(value.shape)} for {links} links"
        )
    return value


def _tap_gains(part: Rays, tx: Front, rx: Front, steps: int, step_s: float, work: Workspace) -> C64:
    """Sum the rays of each tap for all snapshots and port pairs: complex64 [n, T·Rx·Tx, L] (a strided view)."""
    weights, right = _ray_weights(part, tx, rx, steps, step_s, work)
    n = part.links
    if part.taps == part.rays:  # nothing to sum: one outer product instead of a matrix product per ray
        gains = _outer(weights[:, None], right[None], work, "taps")
        return gains.reshape(-1, n, part.taps).transpose(1, 0, 2)
    taps = work.c64("taps", (n, part.taps, len(weights), len(right)))
    tap = ray = 0
    for size, group in groupby(part.seg):
        count = len(list(group))
        rays_of_run = slice(ray, ray + count * size)
        a = weights[:, :, rays_of_run].reshape(-1, n, count, size).transpose(1, 2, 0, 3)
        b = right[:, :, rays_of_run].reshape(-1, n, count, size).transpose(1, 2, 3, 0)
        np.matmul(a, b, out=taps[:, tap : tap + count])
        tap, ray = tap + count, rays_of_run.stop
    return np.swapaxes(taps.reshape(n, part.taps, -1), 1, 2)


def _ray_weights(
    part: Rays | RayRow, tx: Front, rx: Front, steps: int, step_s: float, work: Workspace
) -> tuple[C64, C64]:
    """Per-ray factors [M, n, P] and [N, n, P] whose product over (M, N) is snapshot × Rx port × Tx port, in order."""
    weights = _polarised(part.g, tx, rx, work)  # [rx pol, tx pol, n, P]
    inner = tx
    if tx.left is None and tx.right is None and weights.shape[1] == 1:
        inner = rx  # a single Tx port: the receive array takes its place as the inner factor
    else:
        for side, factor in (("left", rx.left), ("right", rx.right)):
            if factor is not None:
                weights = _outer(weights[:, None], factor[None, :, None], work, f"weights.rx.{side}")
                weights = weights.reshape(-1, *weights.shape[2:])
    weights = weights.reshape(-1, *weights.shape[2:])
    if inner.left is None:
        right = _ones(part.aod.shape, work)
    elif inner.right is None:
        right = inner.left
    elif steps * len(weights) > len(inner.right):
        # Many snapshots or ports outside: widening the inner factor costs fewer products than widening the weights.
        right = _outer(inner.left[:, None], inner.right[None], work, "inner").reshape(-1, *part.aod.shape)
    else:
        right = inner.right
        weights = _outer(weights[:, None], inner.left[None], work, "weights.left").reshape(-1, *part.aod.shape)
    if steps > 1:
        doppler = _doppler_phases(part.nu, steps, step_s, work)
        weights = _outer(doppler[:, None], weights[None], work, "weights.time").reshape(-1, *part.aod.shape)
    return weights, right


def _outer(a: C64, b: C64, work: Workspace, name: str) -> C64:
    return np.multiply(a, b, out=work.c64(name, np.broadcast_shapes(a.shape, b.shape)))


def _ones(shape: tuple[int, ...], work: Workspace) -> C64:
    ones = work.c64("ones", (1, *shape))
    ones[...] = 1.0
    return ones


def _polarised(g: C64, tx: Front, rx: Front, work: Workspace) -> C64:
    """Gain of every ray between every pair of polarisations, patterns included: complex64 [Rx pol, Tx pol, n, P]."""
    shape = g.shape[2:]
    out = work.c64("pol", (len(rx.field), len(tx.field), *shape))
    half, scratch = work.c64("pol.half", (2, *shape)), work.c64("pol.scratch", shape)
    gain = rx.gain if tx.gain is None else tx.gain if rx.gain is None else tx.gain * rx.gain
    for s, field in enumerate(tx.field):
        for i in (0, 1):
            _project((g[i, 0], g[i, 1]), field, half[i], scratch)
        for r, other in enumerate(rx.field):
            _project((half[0], half[1]), other, out[r, s], scratch)
            if gain is not None:
                out[r, s] *= gain
    return out


def _project(pair: tuple[C64, C64], field: tuple[F32 | float, F32 | float], out: C64, scratch: C64) -> None:
    """Write pair[0]·field[0] + pair[1]·field[1] into ``out``, without the terms that vanish."""
    first, second = (isinstance(weight, float) and weight == 0.0 for weight in field)
    if second:
        np.multiply(pair[0], field[0], out=out)
    elif first:
        np.multiply(pair[1], field[1], out=out)
    else:
        np.multiply(pair[0], field[0], out=out)
        out += np.multiply(pair[1], field[1], out=scratch)


def _doppler_phases(nu: F32, steps: int, step_s: float, work: Workspace) -> C64:
    """exp(+j2πν·t·Δt): complex64 [T, n, P]."""
    nu64: F64 = work.take("doppler.nu", nu.shape, np.float64)
    nu64[...] = nu
    return _phasors(nu64, 0.0, step_s, steps, work, "doppler")


def _delay_phases(tau: F64, grid: Grid, work: Workspace) -> C64:
    """exp(−j2π(f0 + k·Δf)τ): complex64 [K, n, L]."""
    return _phasors(tau, -grid.first_hz, -grid.spacing_hz, grid.subcarriers, work, "delay")


def _phasors(x: F64, first: float, step: float, count: int, work: Workspace, name: str) -> C64:
    """exp(j2π(first + i·step)·x) for i < count: complex64 [count, *x.shape].

    Built by doubling: entries m … 2m − 1 are entries 0 … m − 1 times exp(j2π·m·step·x). Each of these log2(count)
    exponentials has its own phase, reduced mod 1 in float64, so that no error is raised to a power.
    """
    out = work.c64(name, (count, *x.shape))
    turn, phase = work.c64("turn", x.shape), work.f32("turn.phase", x.shape)
    cycles, whole = (work.take(f"turn.{part}", x.shape, np.float64) for part in ("cycles", "whole"))

    def turns(factor: float, result: C64) -> None:
        """exp(j2π·factor·x) into ``result``."""
        np.multiply(x, factor, out=cycles)
        np.subtract(cycles, np.rint(cycles, out=whole), out=cycles)
        np.multiply(cycles, TWO_PI, out=phase, casting="same_kind")
        cis(phase, result)

    if first:
        turns(first, out[0])
    else:
        out[0] = 1.0
    done = 1
    while done < count:
        more = min(done, count - done)
        turns(step * done, turn)
        np.multiply(out[:more], turn, out=out[done : done + more])
        done += more
    return out
