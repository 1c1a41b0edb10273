"""QuaDRiGa sessions in a live Octave: bits, crashes, errors, states, statistics. Skipped without one."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_quadriga import REFERENCE, block, need_quadriga, quadriga_params
from wbench import generate
from wbench.channel.synthesis import synthesize
from wbench.errors import SimulationError
from wbench.generator import Block
from wbench.run.generate import simulate_block
from wbench.testing import GeneratorSuite
from wbench_generators.quadriga import Quadriga
from wbench_generators.quadriga.bridge import FUNCTIONS, Octave
from wbench_generators.quadriga.session import QuadrigaSession
from wbench_generators.sionna_38901.topology import draw_drops

RECIPE = """
name = "quadriga-test"
version = 1
generator = "quadriga"
summary = "for tests"
licence = "CC0-1.0"
seed = 4
block = 4
[sizes]
tiny = {samples = 10, shard_blocks = 1}
[params]
scenario = "uma"
carrier_hz = 2e9
los = 0.5
power_norm = "track"
distance_m = [35.0, 200.0]
speed_kmh = [3.0, 30.0]
time_steps = 2
time_step_s = 1e-3
bs = {cols = 2}
bands.channel = {subcarriers = 4, spacing_hz = 180e3}
"""


@pytest.fixture(scope="module")
def session() -> Iterator[QuadrigaSession]:
    need_quadriga()
    session = QuadrigaSession(quadriga_params(los=0.5))
    session.octave = Octave(need_quadriga(), (FUNCTIONS, REFERENCE))
    yield session
    session.close()


class TestConformance(GeneratorSuite):
    generator = Quadriga
    params = quadriga_params(los=0.5, power_norm="track").model_dump()
    block = 4

    @pytest.fixture(autouse=True)
    def _there(self) -> None:
        need_quadriga()


def test_mixed_states_are_those_of_each_alone(session: QuadrigaSession) -> None:
    """Padding of taps and rays changes no channel: LoS links equal those of a record of LoS links only."""
    part = block(size=8)
    rays, arrays = session.simulate(part)
    assert rays is not None
    los = arrays["los"] == 1
    assert 0 < los.sum() < 8
    assert np.isfinite(arrays["k_factor_db"][los]).all()
    assert np.isnan(arrays["k_factor_db"][~los]).all()
    drops = draw_drops(session._params, part)
    for state in (True, False):
        answer = session.octave.call(
            "wbench_qd_draw",
            session.request(part, drops, np.flatnonzero(los == state), f"3GPP_38.901_UMi_{'' if state else 'N'}LOS"),
        )
        gain = 10 * np.log10(answer["gain"].sum(axis=1))
        np.testing.assert_allclose(arrays["path_gain_db"][los == state], gain, atol=1e-4)
        power = rays.select(los == state).power().sum(axis=1)
        np.testing.assert_allclose(10 * np.log10(power / 2), gain, atol=3)  # V and H of random matrices
    plan = session._params.bs.array(), session._params.ue.array(), Quadriga().layout(session._params).synthesis
    assert plan[2] is not None
    h = synthesize(rays, plan[0], plan[1], plan[2].bands["channel"])
    assert np.isfinite(h).all()


def test_a_single_link(session: QuadrigaSession) -> None:
    layout = Quadriga().layout(session._params)
    arrays = simulate_block(layout, session, Block(0, range(1), 3))
    assert arrays["channel"].shape == (1, 6, 1, 4, 8)


def test_a_block_lost_with_its_octave_is_made_again(session: QuadrigaSession) -> None:
    first = session.simulate(block(3))[1]
    before = session.octave.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    again = session.simulate(block(3))[1]
    assert session.octave.pid != before
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


def test_an_octave_that_always_ends_is_an_error(session: QuadrigaSession) -> None:
    with pytest.raises(SimulationError, match="Octave ended twice") as caught:
        session.octave.call("wbench_qd_leave", {"code": 1.0})
    assert "generate again" in str(caught.value)
    assert len(session.simulate(block(0))[1]["los"]) == 6  # the next block starts it anew


def test_what_octave_reports_is_an_error_with_its_words(session: QuadrigaSession) -> None:
    part = block(0)
    request = session.request(part, draw_drops(session._params, part), np.arange(6), "3GPP_38.901_Moon_LOS")
    with pytest.raises(SimulationError, match=r"QuaDRiGa failed in Octave[\s\S]*3GPP_38.901_Moon_LOS") as caught:
        session.octave.call("wbench_qd_draw", request)
    assert len(str(caught.value)) < 1200
    assert len(session.simulate(part)[1]["los"]) == 6


def test_octave_leaves_the_environment_and_the_folder_as_they_were(
    session: QuadrigaSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.octave.close()
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    session.simulate(block(0))
    assert dict(os.environ) == before
    assert session.octave.pid is not None
    os.kill(session.octave.pid, signal.SIGHUP)  # what a killed worker's Octave gets
    session.octave.close()
    assert not list(tmp_path.iterdir())


def test_one_or_two_workers_make_the_same_bits(tmp_path: Path, session: QuadrigaSession) -> None:
    recipe = tmp_path / "quadriga-test.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    made = [generate(recipe, size="tiny", out=tmp_path / f"{n}.zarr", workers=n) for n in (1, 2)]
    assert [report.failures for report in made] == [{}, {}]
    assert made[0].open().content_digest == made[1].open().content_digest


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def kolmogorov(sample: np.ndarray, mean: float, deviation: float) -> float:
    """Largest distance to the normal distribution, times sqrt(n): 1.95 is exceeded once in a thousand."""
    x = normal_cdf((np.sort(sample) - mean) / deviation)
    n = len(x)
    return float(math.sqrt(n) * max((np.arange(1, n + 1) / n - x).max(), (x - np.arange(n) / n).max()))


#: TR 38.901 V16.1, Table 7.5-6, lg(DS) at a frequency in GHz: mean, deviation.
LG_DS = {
    "3GPP_38.901_UMi_NLOS": lambda f: (-0.24 * math.log10(1 + f) - 6.83, 0.16 * math.log10(1 + f) + 0.28),
    "3GPP_38.901_UMi_LOS": lambda f: (-0.24 * math.log10(1 + f) - 7.14, 0.38),
    "3GPP_38.901_UMa_NLOS": lambda f: (-0.204 * math.log10(f) - 6.28, 0.39),
    "3GPP_38.901_RMa_LOS": lambda f: (-7.49, 0.55),
    "3GPP_38.901_Indoor_LOS": lambda f: (-0.01 * math.log10(1 + f) - 7.692, 0.18),
}


def draws(session: QuadrigaSession, configuration: str, index: int, n: int, carrier_hz: float) -> dict:
    part = block(index, n)
    request = session.request(part, draw_drops(session._params, part), np.arange(n), configuration)
    return session.octave.call("wbench_qd_draw", request | {"carrier": carrier_hz})


@pytest.mark.parametrize("configuration", sorted(LG_DS))
def test_large_scale_parameters_are_those_of_tr38901(session: QuadrigaSession, configuration: str) -> None:
    answer = draws(session, configuration, 0, 500, 6e9)
    assert kolmogorov(np.log10(answer["ds"].ravel()), *LG_DS[configuration](6.0)) < 1.95
    if configuration == "3GPP_38.901_UMi_LOS":
        assert kolmogorov(10 * np.log10(answer["kf"].ravel()), 9.0, 5.0) < 1.95


def test_large_scale_parameters_are_independent_between_links(session: QuadrigaSession) -> None:
    """The mean over a block scatters as that of independent links; QuaDRiGa's own builder would pin it (to a fifth)."""
    blocks, n = 60, 8
    mean, deviation = LG_DS["3GPP_38.901_UMi_NLOS"](2.5)
    lg = np.array([np.log10(draws(session, "3GPP_38.901_UMi_NLOS", i, n, 2.5e9)["ds"].ravel()) for i in range(blocks)])
    scatter = lg.mean(axis=1).std(ddof=1) / (deviation / math.sqrt(n))
    assert 0.75 < scatter < 1.3  # chi-square with 59 degrees of freedom: outside once in a thousand
    neighbours = np.corrcoef(lg[:, :-1].ravel(), lg[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 3.3 / math.sqrt(blocks * (n - 1))
    assert abs(lg.mean() - mean) < 3.3 * deviation / math.sqrt(blocks * n)


def test_known_deviations_from_tr38901(session: QuadrigaSession) -> None:
    """The documentation says so: rays in LoS have half the delay spread drawn, and UMa is not raised to 6 GHz."""
    answer = draws(session, "3GPP_38.901_UMi_LOS", 1, 400, 6e9)
    share = answer["gain"] / answer["gain"].sum(axis=1, keepdims=True)
    mean = (share * answer["delay"]).sum(axis=1)
    spread = np.sqrt((share * answer["delay"] ** 2).sum(axis=1) - mean**2)
    assert 0.35 < np.median(spread / answer["ds"].ravel()) < 0.6
    lg = np.log10(draws(session, "3GPP_38.901_UMa_NLOS", 2, 400, 1.5e9)["ds"].ravel())
    at = {f: LG_DS["3GPP_38.901_UMa_NLOS"](f) for f in (1.5, 6.0)}
    assert kolmogorov(lg, *at[1.5]) < 1.95 < kolmogorov(lg, *at[6.0])
