"""Our rays and synthesis against Sionna's own coefficients and CFR, on the same rays and initial phases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sionna.phy")

from wbench.channel.synthesis import synthesize
from wbench.generator import Block
from wbench_generators.sionna_38901 import Sionna38901
from wbench_generators.sionna_38901.adapter import RAYS_PER_CLUSTER, ray_order, to_rays
from wbench_generators.sionna_38901.session import SionnaSession, draw_drops

DISTANCE = {"umi": (20, 150), "uma": (35, 300), "rma": (35, 2000), "inh-open": (5, 50), "inh-mixed": (5, 50)}
ULA = {"rows": 1, "cols": 32}
UPA = {"rows": 4, "cols": 8, "pattern": "38.901", "bearing_deg": 17.0, "downtilt_deg": 10.0}
CROSS = {**UPA, "polarisation": "cross"}
UE2 = {"polarisation": "VH", "bearing_deg": 40.0, "downtilt_deg": -12.0}
HORIZONTAL = {"rows": 2, "cols": 3, "polarisation": "H", "vertical_spacing": 0.8, "horizontal_spacing": 0.6}
SUBCARRIERS, SPACING, STEP = 32, 30e3, 0.5e-3


def params(scenario: str, los: Any, bs: dict[str, Any], ue: dict[str, Any], steps: int) -> Any:
    return Sionna38901.Params(
        scenario=scenario,
        carrier_hz=3.5e9,
        distance_m=DISTANCE[scenario],
        los=los,
        bs=bs,
        ue=ue,
        bands={"channel": {"subcarriers": SUBCARRIERS, "spacing_hz": SPACING}},
        speed_kmh=(30.0, 30.0),
        time_steps=steps,
        time_step_s=STEP,
    )


def sionna_array(array: Any, carrier_hz: float, precision: str) -> Any:
    from sionna.phy.channel.tr38901 import PanelArray

    return PanelArray(
        num_rows_per_panel=array.rows,
        num_cols_per_panel=array.cols,
        polarization="dual" if array.polarisation in ("VH", "cross") else "single",
        polarization_type=array.polarisation,
        antenna_pattern=array.pattern,
        carrier_frequency=carrier_hz,
        element_vertical_spacing=array.vertical_spacing,
        element_horizontal_spacing=array.horizontal_spacing,
        precision=precision,
        device="cpu",
    )


def sionna_channel(p: Any, session: SionnaSession, block: Block, phases: np.ndarray, precision: str) -> np.ndarray:
    """CFR of Sionna's ChannelCoefficientsGenerator and cir_to_ofdm_channel: [B, T, Rx, Tx, K]."""
    import torch
    from sionna.phy.channel import cir_to_ofdm_channel, subcarrier_frequencies
    from sionna.phy.channel.tr38901 import ChannelCoefficientsGenerator, Topology

    real = torch.float64 if precision == "double" else torch.float32
    drops = draw_drops(p, block)
    lsp, rays, cluster_ds = session.sample(block, drops)
    order = ray_order(session.stage(block, drops))[1]
    back = np.empty((len(block), phases.shape[2], 4), np.float32)  # ours are in record order, Sionna's by cluster
    np.put_along_axis(back, order[:, :, None], np.moveaxis(phases, 0, -1), axis=1)
    rays.phases = torch.from_numpy(back.reshape(len(block), 1, 1, -1, RAYS_PER_CLUSTER, 4)).to(real)
    for name in ("delays", "powers", "aoa", "aod", "zoa", "zod", "xpr"):
        setattr(rays, name, getattr(rays, name).to(real))
    link = torch.from_numpy(drops.link).to(real)
    distance = torch.linalg.norm(link, dim=-1)[:, None, None]
    azimuth, zenith = torch.atan2(link[:, 1], link[:, 0])[:, None, None], torch.acos(link[:, 2, None, None] / distance)

    def pose(array: Any) -> Any:
        angles = np.radians([array.bearing_deg, array.downtilt_deg, 0.0])
        return torch.from_numpy(angles).to(real).repeat(len(block), 1, 1)

    topology = Topology(
        velocities=torch.from_numpy(drops.velocity)[:, None].to(real),
        moving_end="rx",
        los_aoa=azimuth + torch.pi,
        los_aod=azimuth,
        los_zoa=torch.pi - zenith,
        los_zod=zenith,
        los=torch.from_numpy(drops.los)[:, None, None],
        distance_3d=distance,
        tx_orientations=pose(p.bs),
        rx_orientations=pose(p.ue),
    )
    arrays = [sionna_array(a, p.carrier_hz, precision) for a in (p.bs, p.ue)]
    generator = ChannelCoefficientsGenerator(
        p.carrier_hz, *arrays, subclustering=True, precision=precision, device="cpu"
    )
    with torch.no_grad():
        h, tau = generator(p.time_steps, 1 / STEP, lsp.k_factor.to(real), rays, topology, cluster_ds.to(real) * 1e-9)
        gain = torch.sqrt(lsp.sf.to(real)) * 10 ** (-lsp.pathloss.to(real) / 20)
        a = (h * gain[..., None, None, None, None]).permute(0, 2, 4, 1, 5, 3, 6)
        tones = subcarrier_frequencies(SUBCARRIERS, SPACING, precision=precision, device="cpu")
        cfr = cir_to_ofdm_channel(tones, a, tau.permute(0, 2, 1, 3))  # [B, 1, Rx, 1, Tx, T, K]
    return np.moveaxis(cfr[:, 0, :, 0].numpy(), 3, 1)


def worst_nmse_db(ours: np.ndarray, reference: np.ndarray) -> float:
    error = (np.abs(ours - reference) ** 2).sum(axis=(1, 2, 3, 4), dtype=np.float64)
    return float(10 * np.log10((error / (np.abs(reference) ** 2).sum(axis=(1, 2, 3, 4), dtype=np.float64)).max()))


def compare(p: Any, precision: str, links: int = 12) -> float:
    block = Block(3, range(3 * links, 4 * links), root=11)
    with Sionna38901().open(p) as session:
        drops = draw_drops(p, block)
        phases = block.rng("phases").random((4, links, p.clusters * RAYS_PER_CLUSTER), dtype=np.float32)
        phases *= np.float32(2 * np.pi)
        rays, _ = session.simulate(block)
        again = to_rays(session.stage(block, drops), drops, p.carrier_hz, phases)
        np.testing.assert_array_equal(rays.g, again.g)  # the phases above are the session's own
        ours = synthesize(
            rays,
            p.bs.array(),
            p.ue.array(),
            Sionna38901().layout(p).synthesis.bands["channel"],
            p.time_steps,
            p.time_step_s,
        )
        return worst_nmse_db(ours, sionna_channel(p, session, block, phases, precision))


@pytest.mark.parametrize("scenario", ["umi", "uma", "rma", "inh-open"])
@pytest.mark.parametrize("los", ["los", "nlos"])
@pytest.mark.parametrize(
    ("bs", "ue"), [(ULA, {}), (UPA, {}), (CROSS, UE2)], ids=["ula-1x32", "upa-4x8-38901", "cross-64x2"]
)
@pytest.mark.parametrize("steps", [1, 16])
def test_channel_equals_sionnas_own(
    scenario: str, los: str, bs: dict[str, Any], ue: dict[str, Any], steps: int
) -> None:
    # Double precision: in single Sionna's own line-of-sight phase is off by up to -36 dB (float32 2 pi d / lambda).
    links = 4 if steps == 16 and ue else 8
    assert compare(params(scenario, los, bs, ue, steps), "double", links) <= -100.0


@pytest.mark.parametrize("ue", [{}, {"rows": 2, "cols": 2, "polarisation": "cross", "pattern": "38.901"}])
def test_other_arrays_and_mixed_states(ue: dict[str, Any]) -> None:
    assert compare(params("inh-mixed", 0.5, HORIZONTAL, ue, 2), "double") <= -100.0


def test_single_precision_without_line_of_sight() -> None:
    assert compare(params("umi", "nlos", UPA, {}, 2), "single") <= -100.0
