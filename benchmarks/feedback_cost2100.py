"""The CsiNet table with our codecs: NMSE of feedback at several ratios on COST 2100 indoor channels.

    python benchmarks/feedback_cost2100.py cost2100_indoor.npz --models wbench/lasso,wbench/tval3 --reals 512,128

The file holds ``channel_angle_delay``, complex [n, 32 delay rows, 32 angles]. The first third chooses what a codec
fits, the rest is scored. The encoder's matrix comes from a task made here, so numbers differ a little from a task's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.metric.feedback import Rho
from wbench.model import Codec, load_model
from wbench.task.batch import ArrayMeta, Batch, ChannelMeta, Truth
from wbench.task.spec import Limit, Split, TaskSpec, View

META = ChannelMeta((32, 32), ("delay", "angle"), 5.3e9, 20e6 / 1024, 0.0, ArrayMeta(1, 32), ArrayMeta(1, 1))
MODELS = "lasso,lasso-complex,tval3,tval3-aniso,tval3-complex,omp,dct-amp,bm3dlite-amp,bm3dlite-amp-undamped"


@dataclass
class Channels:
    """Channels in memory, as a part of a task."""

    h: npt.NDArray[np.complex64]
    meta: ChannelMeta = META

    def __len__(self) -> int:
        return len(self.h)

    def load(self) -> tuple[Batch, Truth]:
        return Batch(np.arange(len(self.h)), {"H": self.h}, None, META), {"H": self.h}

    def batches(self, size: int = 256, rng: np.random.Generator | None = None) -> Iterator[tuple[Batch, Truth]]:
        for start in range(0, len(self.h), size):
            yield Channels(self.h[start : start + size]).load()


def make_spec(reals: int) -> TaskSpec:
    views: Any = {part: View(recipe="cost2100", side=part) for part in ("train", "val", "test")}
    return TaskSpec(
        name="csinet-table",
        version=1,
        family="csi-feedback-ratio",
        kind="compress",
        summary="COST 2100 indoor",
        views=views,
        split=Split(rule="S0"),
        primary="nmse_mor_db",
        metrics=("nmse_mor_db",),
        trivial=(),
        limit=Limit(reals=reals),
    )


def measure(name: str, reals: int, fit: Channels, test: Channels) -> str:
    model = load_model(name)
    if not isinstance(model, Codec):
        raise SystemExit(f"{name} is not a codec")
    model.setup(make_spec(reals), META)
    if model.info.trains:
        model.fit(fit, fit, 0)
    sent, decode = model.encoder()(test.load()[0]), model.decoder()
    start = time.process_time()
    found = decode(sent)
    speed = len(test) / (time.process_time() - start)
    error = np.sum(np.abs(found - test.h) ** 2, axis=(1, 2)) / np.sum(np.abs(test.h) ** 2, axis=(1, 2))
    rho = Rho().per_sample(found + 1e-20, {"H": test.h}, {}).mean() if np.any(found) else 0.0
    mean, median = 10 * np.log10(np.mean(error)), 10 * np.log10(np.median(error))
    return f"{reals:5d} {name:30s} {mean:8.2f} {median:8.2f} {rho:6.3f} {speed:8.0f} {len(test):5d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--models", default=",".join(f"wbench/{name}" for name in MODELS.split(",")))
    parser.add_argument("--reals", default="512,128,64,32")
    parser.add_argument("--few", type=int, default=60, help="samples of the block-matching codecs")
    asked = parser.parse_args()
    h = np.load(asked.file)["channel_angle_delay"]
    h = (h / np.sqrt(np.mean(np.abs(h) ** 2, axis=(1, 2), keepdims=True))).astype(np.complex64)
    fit, test = Channels(h[: len(h) // 3]), Channels(h[len(h) // 3 :])
    print(f"{'reals':5s} {'model':30s} {'mean dB':>8s} {'median':>8s} {'rho':>6s} {'1/s':>8s} {'n':>5s}")
    for reals in map(int, asked.reals.split(",")):
        for name in asked.models.split(","):
            part = Channels(test.h[: asked.few]) if "bm3d" in name else test
            print(measure(name, reals, fit, part), flush=True)


if __name__ == "__main__":
    main()
