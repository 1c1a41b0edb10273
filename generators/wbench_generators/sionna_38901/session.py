"""Runs Sionna's public 38.901 stages for one block at a time, to the same bits wherever the block is run."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from wbench.channel.rays import Rays
from wbench.errors import MissingDependencyError, SimulationError
from wbench.generator import Arrays, Block, Session
from wbench_generators.sionna_38901.adapter import RAYS_PER_CLUSTER, ClusterRays, to_rays
from wbench_generators.sionna_38901.params import SPEC_VERSION, SionnaParams
from wbench_generators.sionna_38901.topology import Drops, draw_drops

__all__ = ["SionnaSession", "build_scenario"]


class SionnaSession(Session):
    """The stages topology, large-scale parameters and rays of one scenario.

    Parameters
    ----------
    params : SionnaParams
        The dataset's parameters.

    Notes
    -----
    Sionna has one random generator per process and device, and some of its draws outlive a topology. A block is
    reproducible all the same: the stages are reset and that generator is seeded before every block, always with
    the same batch composition, on the CPU in single precision. Initial phases are wbench's own draws.
    """

    def __init__(self, params: SionnaParams) -> None:
        self._torch, self._config, self._tr38901 = _import_sionna()
        self._params = params
        # More than one thread is slower on blocks of this size (2 to 15 times on a shared machine).
        self._threads = self._torch.get_num_threads()
        self._torch.set_num_threads(1)
        self._scenario = build_scenario(self._tr38901, params)
        self._large_scale = self._tr38901.LSPGenerator(self._scenario)
        self._rays = self._tr38901.RaysGenerator(self._scenario)
        clusters = self._scenario.num_clusters_max
        if clusters != params.clusters:
            self.close()
            raise SimulationError(
                "This Sionna has other cluster numbers than the tables that wbench knows.",
                where="sionna-38901",
                why=f"{clusters} instead of {params.clusters} clusters in {params.scenario}",
                next_step="pip install 'sionna-no-rt>=2.2,<3'",
            )

    def close(self) -> None:
        """Give torch its threads back."""
        self._torch.set_num_threads(self._threads)

    def simulate(self, block: Block) -> tuple[Rays, Arrays]:
        """Rays and labels of a block; see :class:`wbench.generator.Session`."""
        drops = draw_drops(self._params, block)
        stage = self.stage(block, drops)
        shape = (4, len(block), stage.powers.shape[1] * RAYS_PER_CLUSTER)
        phases = block.rng("phases").random(shape, dtype=np.float32)
        phases *= np.float32(2 * np.pi)
        rays = to_rays(stage, drops, self._params.carrier_hz, phases)
        arrays = _labels(block, drops, stage)
        if self._params.store_rays:
            arrays.update(rays.to_arrays())
        return rays, arrays

    def stage(self, block: Block, drops: Drops) -> ClusterRays:
        """Large-scale parameters and rays of a block from Sionna (TR 38.901, 7.5, steps 1 to 9)."""
        lsp, rays, cluster_ds = self.sample(block, drops)
        array = {
            name: getattr(rays, name)[:, 0, 0].numpy()
            for name in ("delays", "powers", "aod", "zod", "aoa", "zoa", "xpr")
        }
        loss, shadow, k_factor = (x[:, 0, 0].double().numpy() for x in (lsp.pathloss, lsp.sf, lsp.k_factor))
        return ClusterRays(
            strongest=rays.strongest_cluster_indices[:, 0, 0].numpy(),
            cluster_ds=cluster_ds[:, 0, 0].double().numpy() * 1e-9,
            k_factor=k_factor,
            path_gain_db=-loss + 10.0 * np.log10(shadow),
            **array,
        )

    def sample(self, block: Block, drops: Drops) -> tuple[Any, Any, Any]:
        """Sionna's own ``LSP``, ``Rays`` and cDS in ns (torch tensors) of a block."""
        torch, n = self._torch, len(block)
        for part in (self._scenario, self._large_scale, self._rays):
            part.reset_topology()
        seed = int(block.seed("sionna").generate_state(1, np.uint64)[0])
        self._config.torch_rng("cpu").manual_seed(seed)
        still = torch.zeros(n, 1, 3)
        indoor = torch.full((n, 1), self._params.scenario.startswith("inh"))
        # Outside of cars: without the flag Sionna puts every rural user into one (9 dB).
        extra = {"in_car": torch.zeros(n, 1, dtype=torch.bool)} if self._params.scenario == "rma" else {}
        with torch.inference_mode():  # 5 % faster than no_grad; nothing here is ever differentiated
            self._scenario.set_topology(
                ut_loc=torch.from_numpy(drops.ue)[:, None],
                bs_loc=torch.from_numpy(drops.bs)[:, None],
                ut_orientations=still,
                bs_orientations=still,
                ut_velocities=torch.from_numpy(drops.velocity)[:, None],
                in_state=indoor,
                los=torch.from_numpy(drops.los)[:, None, None],
                **extra,
            )
            self._large_scale.topology_updated_callback()
            self._rays.topology_updated_callback()
            lsp = self._large_scale()
            return lsp, self._rays(lsp), self._scenario.get_param("cDS")


def build_scenario(tr38901: Any, params: SionnaParams) -> Any:
    """Sionna's scenario object on the CPU in single precision.

    Its antenna arrays are single isotropic elements: the stages up to the rays never look at them.
    """
    here = {"precision": "single", "device": "cpu"}
    element = tr38901.PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=1,
        polarization="single",
        polarization_type="V",
        antenna_pattern="omni",
        carrier_frequency=params.carrier_hz,
        **here,
    )
    common = {"ut_array": element, "bs_array": element, "direction": "downlink", "spec_version": SPEC_VERSION, **here}
    if params.scenario == "umi":
        return tr38901.UMiScenario(params.carrier_hz, o2i_model="low", **common)
    if params.scenario == "uma":
        return tr38901.UMaScenario(params.carrier_hz, o2i_model="low", **common)
    if params.scenario == "rma":
        return tr38901.RMaScenario(params.carrier_hz, **common)
    return tr38901.InHScenario(params.carrier_hz, indoor_scenario=params.scenario.removeprefix("inh-"), **common)


def _labels(block: Block, drops: Drops, stage: ClusterRays) -> Arrays:
    ids = np.asarray(block.samples, dtype=np.int32)
    return {
        "los": drops.los.astype(np.int8),
        "ue_position": drops.ue,
        "bs_position": drops.bs,
        "ue_velocity": drops.velocity,
        "ue_id": ids,
        "scene": np.zeros(len(block), np.int32),
        "site": ids,
        "path_gain_db": stage.path_gain_db.astype(np.float32),
        "k_factor_db": np.where(drops.los, 10.0 * np.log10(stage.k_factor), np.nan).astype(np.float32),
    }


def _import_sionna() -> tuple[ModuleType, Any, ModuleType]:
    try:
        import torch
        from sionna.phy import config
        from sionna.phy.channel import tr38901
    except ImportError as error:
        raise MissingDependencyError(
            "The generator sionna-38901 needs Sionna 2.2 and torch.",
            where="sionna-38901",
            why=str(error),
            next_step="pip install wbench  (or: pip install 'sionna-no-rt>=2.2,<3' torch)",
        ) from error
    return torch, config, tr38901
