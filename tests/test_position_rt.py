"""First paths and angles against a ray tracer's own delays and geometry."""

from __future__ import annotations

import numpy as np

from tests.helpers_rt import block, need_sionna_rt, rt_params
from wbench.run.executors import one_thread
from wbench.run.generate import simulate_block
from wbench_baselines.position.angle import axis_cosine
from wbench_baselines.position.delay import first_path
from wbench_baselines.position.links import candidates, expected


def test_first_paths_of_ray_traced_links() -> None:
    need_sionna_rt()
    from wbench_generators.sionna_rt import SionnaRt

    wide = {"carrier_hz": 3.5e9, "bs": {"cols": 8}, "subcarriers": 256, "spacing_hz": 390_625.0}
    p = rt_params(delays="absolute", bands={"channel": wide}, solver={"samples": 2000})
    generator = SionnaRt()
    with generator.open(p) as session, one_thread():
        a = simulate_block(generator.layout(p), session, block(0, 48))
    there, los = a["los"] >= 0, a["los"] == 1
    assert los.sum() > 10
    found = first_path(a["channel"][:, 0, 0], 390_625.0)
    range_m = 299_792_458.0 * found.delay_s
    late = range_m - 299_792_458.0 * a["first_delay_s"]
    assert np.abs(late[los]).max() < 1.5  # half a tap: the ground's reflection is in the same pulse
    assert np.median(np.abs(late[los])) < 0.3
    assert (late[there] > -1.5).all()  # never before the first path
    station, bearing = a["bs_position"].astype(np.float64), a["tx_orientation"][:, 0].astype(np.float64)
    place = a["ue_position"][:, :2].astype(np.float64)
    cosine = axis_cosine(found.snapshot, 0.5)
    assert np.median(np.abs(cosine - expected(place, station, bearing)[1])[los]) < 0.01
    both = candidates(range_m, cosine, station, bearing)
    miss = np.linalg.norm(both - place[:, None], axis=2).min(axis=1)
    assert np.median(miss[los]) < 1.5
