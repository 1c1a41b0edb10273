"""PAD for whole batches against the loop over bins that public implementations use.

    python benchmarks/bench_prediction.py

Both predict 8 snapshots from 8 noisy ones (4 × 4 antennas, 32 subcarriers) with the same exactly determined linear
predictions of the same 32 strongest angle-delay bins, and agree to rounding. The loop is the published algorithm as
written: per sample, bin and snapshot one small pseudo-inverse. Repetitions alternate in one process.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from wbench.task.batch import ArrayMeta, Batch, ChannelMeta
from wbench.task.spec import load_spec
from wbench_baselines.prediction.pad import Pad, PadPublished

PAST, FUTURE, SIDE, TONES, SAMPLES = 8, 8, 4, 32, 256
LOOP_SAMPLES = 16
Complex = npt.NDArray[np.complex128]


def loop(past: Complex, order: int, count: int) -> Complex:
    """PAD of one sample [past, tx, subcarrier] by plain loops: [count, tx, subcarrier]."""
    tx = SIDE * SIDE
    angle = np.fft.fft(np.eye(SIDE), norm="ortho")
    delay = np.fft.ifft(np.eye(TONES), norm="ortho")
    transform = np.kron(np.kron(angle, angle), delay)
    g = transform @ past.reshape(PAST, -1).T
    energy = (np.abs(g[:, PAST - 2 * order :]) ** 2).sum(axis=1)
    ahead = np.zeros((tx * TONES, count), dtype=complex)
    for b in np.argsort(-energy)[:TONES]:
        series = g[b, PAST - 2 * order :]
        hankel = np.array([series[i : i + order] for i in range(order)])
        newest = series[order:]
        for step in range(count):
            ahead[b, step] = newest @ (np.linalg.pinv(hankel) @ newest)
            newest = np.append(newest[1:], ahead[b, step])
            last = np.append(hankel[1:, -1], ahead[b, step])
            hankel = np.column_stack([hankel[:, 1:], last])
    return (transform.conj().T @ ahead).T.reshape(count, tx, TONES)


def case() -> Batch:
    """Noisy sums of 60 paths at 30 km/h and 3.5 GHz."""
    rng = np.random.default_rng(0)
    paths, total = 60, PAST + FUTURE
    normal = rng.standard_normal((2, SAMPLES, paths))
    gain = (normal[0] + 1j * normal[1]) / np.sqrt(2 * paths)
    phase = [rng.uniform(-a, a, (SAMPLES, paths, 1)) for a in (0.3, np.pi, np.pi, 0.4)]
    time_, col, row, tone = (np.exp(1j * p * np.arange(n)) for p, n in zip(phase, (total, 4, 4, TONES), strict=True))
    clean = np.einsum("sp,spt,spc,spr,spk->stcrk", gain, time_, col, row, tone, optimize=True)
    h = clean.reshape(SAMPLES, total, 1, SIDE * SIDE, TONES).astype(np.complex64)
    noise = rng.standard_normal((2, *h.shape)) * np.sqrt(0.005)
    observed = np.zeros(h.shape[1:], dtype=bool)
    observed[:PAST] = True
    seen = np.where(observed, h + noise[0] + 1j * noise[1], 0).astype(np.complex64)
    dims = ("time", "rx", "tx", "subcarrier")
    meta = ChannelMeta(h.shape[1:], dims, 3.5e9, 180e3, 0.5e-3, ArrayMeta(SIDE, SIDE), ArrayMeta(1, 1))
    power = np.full(SAMPLES, 0.01, np.float32)
    return Batch(np.arange(SAMPLES), {"H": seen, "observed": observed}, power, meta)


def section() -> str:
    """Markdown section for docs/performance.md."""
    batch, spec = case(), load_spec("channel-prediction-time")
    published, tuned = PadPublished(), Pad()
    for model in (published, tuned):
        model.setup(spec, batch.meta)
    tuned.setting = published.setting._replace(order=3, ridge=1e-3, radius=1.0)
    past = batch.x["H"][:, :PAST, 0].astype(np.complex128)
    times: dict[str, list[float]] = {"loop": [], "published": [], "tuned": []}
    with threadpool_limits(1):
        for _ in range(5):
            began = time.perf_counter()
            slow = np.stack([loop(past[i], published.setting.order, FUTURE) for i in range(LOOP_SAMPLES)])
            times["loop"].append((time.perf_counter() - began) / LOOP_SAMPLES)
            for name, model in (("published", published), ("tuned", tuned)):
                began = time.perf_counter()
                answer = model.predict(batch)
                times[name].append((time.perf_counter() - began) / SAMPLES)
                if name == "published":
                    fast = answer[:LOOP_SAMPLES, PAST:, 0]
    head = slice(0, FUTURE // 2)  # later the systems are singular, and rounding decides
    error, power = ((np.abs(x[:, head]) ** 2).sum() for x in (fast - slow, slow))
    ratio = {n: statistics.median(a / b for a, b in zip(times["loop"], times[n], strict=True)) for n in times}
    rate = {n: 1 / statistics.median(times[n]) for n in times}
    return f"""## PAD: channel prediction

8 → 8 snapshots, 4 × 4 antennas, 32 subcarriers, 32 angle-delay bins, complex128. The loop solves each bin and step by
itself; on the first four snapshots the answers agree to {10 * np.log10(error / power):.0f} dB (later all systems are
singular, and hold). `pad` predicts all 512 bins, order 3, with its pole policy.

| | samples/s | against the loop | target |
|---|---|---|---|
| loop over bins | {rate["loop"]:.0f} | 1 | |
| `pad-published`, the same in batches | {rate["published"]:.0f} | {ratio["published"]:.0f} × | 20 × |
| `pad`, 16 times the bins | {rate["tuned"]:.0f} | {ratio["tuned"]:.0f} × | |
"""


if __name__ == "__main__":
    print(section())
