"""Ray-traced users/s on one thread: wbench against a plain Sionna RT loop and against the bare path solver.

    python benchmarks/bench_rt.py

The plain loop is the user's way: move 100 receivers, call ``PathSolver``, call ``cfr``; once per carrier. Ours is what
``wbench generate`` does per block: placement, paths, labels, synthesis, checks. Both use one Dr.Jit thread and the
same settings; repetitions alternate. Processor time is compared, so that other work on the machine counts little.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wbench.errors import MissingDependencyError
from wbench.generator import Block
from wbench.run.executors import one_thread
from wbench.run.generate import generate, simulate_block
from wbench_generators.sionna_rt import RtParams, SionnaRt

USERS, SUBCARRIERS, SPACING = 100, 32, 30e3
GRID = {"subcarriers": SUBCARRIERS, "spacing_hz": SPACING}
LOW = {"carrier_hz": 3.5e9, "bs": {"cols": 32}, **GRID}
HIGH = {"carrier_hz": 28e9, "bs": {"cols": 64}, **GRID}
RECIPE = """
name = "bench-rt"
version = 1
generator = "sionna-rt"
summary = "for benchmarks/bench_rt.py"
licence = "CC0-1.0"
seed = 1
block = 100
[sizes]
tiny = {samples = 2400, shard_blocks = 2}
[params]
[[params.scenes]]
name = "munich"
base_stations = 2
[params.bands]
channel = {carrier_hz = 3.5e9, bs = {cols = 32}, subcarriers = 32, spacing_hz = 30e3}
"""


def _params(bands: dict[str, Any]) -> RtParams:
    return RtParams.model_validate({"scenes": [{"name": "munich"}], "bearing": "array", "bands": bands})


def _cpu(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(bands: dict[str, Any], repetitions: int = 4) -> dict[str, float]:
    """Processor seconds (medians) of a block of ours, of the solver within it, of the plain loop and the bare solver.

    ``ratio`` is the plain loop's time over ours, ``overhead`` ours over the bare solver's minus one: medians over the
    rounds, in each of which all take turns with the same users.
    """
    generator, p = SionnaRt(), _params(bands)
    layout = generator.layout(p)
    ours, solver, plain, bare = [], [], [], []
    with generator.open(p) as session, one_thread():
        tracer: Any = session._tracer  # type: ignore[attr-defined]
        solve, inside = tracer._solver, [0.0]

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return solve(*args, **kwargs)
            finally:
                inside[0] += time.process_time() - start

        tracer._solver = timed
        loop = _plain_loop(p, session)
        for i in range(repetitions + 1):
            part, inside[0] = Block(i, range(i * USERS, (i + 1) * USERS), root=1), 0.0
            seconds = _cpu(lambda part=part: simulate_block(layout, session, part))
            users = session.links(part).users.position  # type: ignore[attr-defined]
            other = _cpu(lambda users=users, i=i: loop(users, i, True))
            alone = _cpu(lambda users=users, i=i: loop(users, i, False))
            if i:  # the first round compiles kernels
                ours.append(seconds)
                solver.append(inside[0])
                plain.append(other)
                bare.append(alone)
    found = {"ours": ours, "solver": solver, "plain": plain, "bare": bare}
    ratio = statistics.median(b / a for a, b in zip(ours, plain, strict=True))
    overhead = statistics.median(a / b for a, b in zip(ours, bare, strict=True)) - 1
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {**medians, "ratio": ratio, "overhead": overhead}


def _plain_loop(p: RtParams, session: Any) -> Callable[[Any, int, bool], None]:
    """100 receivers per solve, once per carrier, in a scene of its own; then ``cfr``, or the paths as NumPy arrays.

    The bare solver has our settings: elements of both polarisations, as the rays of a dataset hold both.
    """
    import sionna.rt as rt

    links, s = session.links(Block(0, range(USERS), root=1)), p.solver
    scene = rt.load_scene(rt.scene.munich)
    for material in scene.radio_materials.values():
        material.scattering_coefficient = s.scattering
    scene.add(rt.Transmitter("bs", position=links.bs[0].tolist()))
    for i in range(USERS):
        scene.add(rt.Receiver(f"ue{i}", position=[0.0, 0.0, 1.5]))
    solver, tones = rt.PathSolver(), rt.subcarrier_frequencies(SUBCARRIERS, SPACING)

    def loop(users: Any, seed: int, with_cfr: bool) -> None:
        for i, position in enumerate(users.tolist()):
            scene.get(f"ue{i}").position = position
        for band in p.bands.values():
            scene.frequency = band.carrier_hz
            cols, polarisation = (band.bs.cols, "V") if with_cfr else (1, "VH")
            scene.tx_array = rt.PlanarArray(num_rows=1, num_cols=cols, pattern="iso", polarization=polarisation)
            scene.rx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization=polarisation)
            paths = solver(
                scene,
                max_depth=s.max_depth,
                max_num_paths_per_src=s.max_paths,
                samples_per_src=s.samples,
                diffuse_reflection=True,
                refraction=s.refraction,
                diffraction=s.diffraction,
                seed=seed + 1,
            )
            if with_cfr:
                paths.cfr(frequencies=tones, normalize_delays=False, out_type="numpy")
            else:
                _ = [part.numpy() for part in (*paths.a, paths.tau, paths.interactions)]

    return loop


def workers() -> tuple[float, float]:
    """Samples/s of one and of two workers, wall clock."""
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "bench-rt.toml"
        recipe.write_text(RECIPE, encoding="utf-8")
        for count in (1, 2):
            start = time.perf_counter()
            report = generate(recipe, size="tiny", out=Path(folder) / f"{count}.zarr", workers=count)
            rates.append(report.spec.samples / (time.perf_counter() - start))
    return rates[0], rates[1]


def section() -> str:
    """Section of the performance page."""
    lines = [
        "## Ray tracing: wbench against a plain Sionna RT loop",
        "",
        f"Munich, depth 5, diffraction, scattering, 50 000 rays, {USERS} users a solve, {SUBCARRIERS} subcarriers, one",
        "thread, processor time. The plain loop moves the receivers, calls `PathSolver` and `cfr`, once per carrier.",
        "The bare solver stops at the paths between single VH elements as arrays, which is what wbench starts from;",
        "the overhead is everything else: users, rays, labels, statistics, channels, checks (target: 10 % at one",
        "carrier). wbench searches for paths once for all carriers, and gives the solver the receivers as one array.",
        "",
    ]
    try:
        cases = [
            ("3.5 GHz on 1x32", measure({"channel": LOW})),
            ("and 28 GHz on 1x64", measure({"channel": LOW, "channel_28ghz": HIGH})),
        ]
        one, two = workers()
    except MissingDependencyError as error:
        return "\n".join([*lines, f"Not measured on this machine: {error.what} {error.next_step}"])
    lines += [
        "| carriers | wbench users/s | plain loop users/s | ratio | bare solver users/s | overhead | solver's share |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in cases:
        lines.append(
            f"| {name} | {USERS / found['ours']:.0f} | {USERS / found['plain']:.0f} | {found['ratio']:.2f} "
            f"| {USERS / found['bare']:.0f} | {found['overhead']:+.0%} | {found['solver'] / found['ours']:.0%} |"
        )
    lines += [
        "",
        f"Two workers make {two / one:.2f} times the samples/s of one ({two:.0f} against {one:.0f}, wall clock).",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
