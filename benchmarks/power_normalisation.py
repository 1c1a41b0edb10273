"""What QuaDRiGa's power normalisation does to channel prediction: docs/power-normalisation.md.

    python benchmarks/power_normalisation.py [--out FOLDER] [--seeds 3] [--samples 1000]

Per dataset seed, the same users and rays three times: ``power_norm`` none, causal, track. Split, noise and phases are
those of the first, so that differences are paired. Predictors are ``hold``, two linear ones (``ar-pooled`` from the
sample's own past, ``wiener-pooled`` from other users) and a network that sees all antennas of a delay at once. Needs
QuaDRiGa; on one core D1 and D4 take some ten minutes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import t as student
from torch import Tensor, nn

import wbench
from wbench.model import ModelInfo, Predictor, TrainingData, load_model
from wbench.run.score import score_predictions
from wbench.task.batch import Batch
from wbench.task.part import TaskData
from wbench.task.spec import TaskSpec, View, load_spec
from wbench.training import TrainingSettings, seeded
from wbench.training import train as train_network
from wbench_tasks.channel_prediction import ChannelPrediction

PAGE = Path(__file__).parent.parent / "docs" / "power-normalisation.md"
MARK = "<!-- power_normalisation.py: {} -->"
SETS, NORMS = ("d1", "d4"), ("none", "causal", "track")
MODELS = ("wbench/hold", "wbench/ar-pooled", "wbench/wiener-pooled")
NETWORK = "delay-mlp"
F32, C64 = npt.NDArray[np.float32], npt.NDArray[np.complex64]


class OtherChannels(ChannelPrediction):
    """A task with its split, users and noise, on the channels of another dataset of the same users."""

    def __init__(self, spec: TaskSpec, datasets: Mapping[str, wbench.Dataset], channels: wbench.Dataset) -> None:
        super().__init__(spec, datasets)
        self.channels = channels

    def read(self, part: Any, name: str, ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Channels of the other dataset, all else of the task's own."""
        return self.channels.read(name, ids) if name == self.spec.channel else super().read(part, name, ids)


class DelayMlp(Predictor):
    """MLP 2 × 192 per delay: the past of all antennas there and the sample's autocorrelation → their future.

    Under ``track`` a cluster has the same power on all antennas over past and future together, so an antenna that was
    strong will be weak: this network could see it. Each delay is scaled to unit rms and rotated at random in training;
    the error counts with the delay's energy. The output is added to the last snapshot.
    """

    settings = TrainingSettings(epochs=40, batch=32, lr=2e-3)
    delays = 8
    info = ModelInfo(name=f"benchmark/{NETWORK}", kind="network", trains=True, stochastic=True)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Least squares by AdamW; the epoch is chosen on ``val``."""
        past, future, context = (torch.from_numpy(part) for part in self._parts(*_both(train)))
        held_past, held_future, held_context = (torch.from_numpy(part) for part in self._parts(*_both(val)))
        self.width = past.shape[-1]
        self.network = seeded(lambda: _network(2 * self.width + context.shape[-1], 2 * future.shape[-1]), seed, NETWORK)
        energy = (past.abs() ** 2).sum(-1)

        def loss(rows: npt.NDArray[np.int64], random: torch.Generator) -> Tensor:
            at = torch.multinomial(energy[rows].sqrt() + 1e-9, self.delays, generator=random)
            pick = torch.from_numpy(rows)[:, None]
            turn = torch.polar(torch.ones(at.shape), 2 * torch.pi * torch.rand(at.shape, generator=random))[..., None]
            # Drawn by amplitude, so the amplitude is the weight that is left.
            weight = 1 / (energy[pick, at].sqrt() + 1e-9)
            x, y = past[pick, at] * turn, future[pick, at] * turn
            error = ((self._forward(x, context[pick, at]) - y).abs() ** 2).sum(-1)
            return (weight * error).sum() / (weight * (y.abs() ** 2).sum(-1)).sum()

        def validate() -> float:
            error = (self._forward(held_past, held_context) - held_future).abs() ** 2
            return float(error.sum() / (held_future.abs() ** 2).sum())

        train_network(self.network, len(past), loss, self.settings, seed, validate=validate)

    def predict(self, batch: Batch) -> C64:
        """Seen snapshots as they came, open ones predicted."""
        past, _, context = self._parts(batch, batch.x["H"])
        with torch.inference_mode():
            ahead = self._forward(torch.from_numpy(past), torch.from_numpy(context)).numpy()
        seen = int(self.spec.params["past"])
        n, steps, rx, tx, subcarriers = batch.x["H"].shape
        delays = ahead.reshape(n, subcarriers, steps - seen, rx, tx)
        out = batch.x["H"].copy()
        out[:, seen:] = np.fft.fft(np.moveaxis(delays, 1, -1), axis=-1, norm="ortho")
        return out

    def _parts(self, batch: Batch, channel: C64) -> tuple[C64, C64, F32]:
        """Past and future per delay, [n, delay, steps·antennas], and the autocorrelation, [n, delay, 2·lags]."""
        seen = int(self.spec.params["past"])
        past = batch.x["H"][:, :seen].reshape(len(batch), seen, -1)
        lags = [np.einsum("nte,nte->n", past[:, lag:], past[:, : seen - lag].conj()) for lag in range(seen)]
        rho = np.stack([np.asarray(lag / lags[0].real) for lag in lags[1:]], axis=1)
        context = np.concatenate([rho.real, rho.imag], axis=1).astype(np.float32)
        at = [self._delays(part) for part in (batch.x["H"][:, :seen], channel[:, seen:])]
        return at[0], at[1], np.repeat(context[:, None], at[0].shape[1], axis=1)

    def _delays(self, channel: C64) -> C64:
        taps = np.moveaxis(np.fft.ifft(channel, axis=-1, norm="ortho"), -1, 1)
        return np.ascontiguousarray(taps.reshape(*taps.shape[:2], -1), dtype=np.complex64)

    def _forward(self, past: Tensor, context: Tensor) -> Tensor:
        level = (past.abs() ** 2).mean(-1, keepdim=True).sqrt() + 1e-9
        x = past / level
        answer = self.network(torch.cat([x.real, x.imag, context], dim=-1))
        half = answer.shape[-1] // 2
        step = torch.complex(answer[..., :half], answer[..., half:])
        antennas = self.width // int(self.spec.params["past"])
        last = x[..., -antennas:].repeat(*(1,) * (x.ndim - 1), half // antennas)
        return (last + step) * level


def _both(data: TrainingData) -> tuple[Batch, C64]:
    batch, truth = data.load()
    return batch, truth["H"]


def _network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 192), nn.GELU(), nn.Linear(192, 192), nn.GELU(), nn.Linear(192, outputs))


def dataset(name: str, norm: str, seed: int, samples: int, out: Path) -> wbench.Dataset:
    """The recipe ``qd-NAME`` with another normalisation, seed and number of samples."""
    text = (files("wbench_generators") / "recipes" / f"qd-{name}.toml").read_text(encoding="utf-8")
    text = text.replace(f'name = "qd-{name}"', f'name = "qd-{name}-{norm}"', 1)
    text = text.replace('power_norm = "none"', f'power_norm = "{norm}"')
    text = re.sub(r"(?m)^(standard|large) = .*\n", "", text)
    text = re.sub(r"(?m)^tiny = .*$", f"tiny = {{samples = {samples}, shard_blocks = 1}}", text)
    recipe = out / f"qd-{name}-{norm}.toml"
    recipe.write_text(text, encoding="utf-8")
    report = wbench.generate(recipe, size="tiny", seed=seed, out=out / f"{name}-{norm}-{seed}-{samples}.zarr")
    if report.failures:
        raise SystemExit(f"shards failed: {report.failures}")
    return report.open()


def scores(name: str, seed: int, samples: int, out: Path) -> dict[tuple[str, str], float]:
    """NMSE in dB (ratio of sums) by model and normalisation."""
    data = {norm: dataset(name, norm, seed, samples, out) for norm in NORMS}
    ids = np.arange(samples)
    for field in ("ue_position", "ue_velocity", "delay_spread_s", "path_gain_db"):
        first = data["none"].read(field, ids)
        if not all(np.allclose(first, other.read(field, ids), rtol=1e-5) for other in data.values()):
            raise SystemExit(f"not the same rays: {field}")
    spec = load_spec(f"channel-prediction-time-qd-{name}")
    spec = spec.model_copy(update={"views": {p: View(recipe="rays", side=p) for p in ("train", "val", "test")}})
    found = {}
    for norm in NORMS:
        task = OtherChannels(spec, {"rays": data["none"]}, data[norm])
        for model in (*(load_model(reference) for reference in MODELS), DelayMlp()):
            assert isinstance(model, Predictor)
            model.setup(task.spec, task.meta)
            if model.info.trains:
                model.fit(TaskData(task, "train"), TaskData(task, "val"), seed)
            answers = [model.predict(b)[:, ~b.x["observed"]] for b in task.batches("test", task.ids("test"))]
            result = score_predictions(task, task.ids("test"), np.concatenate(answers), {})[0]
            value = next(one.value for one in result if one.metric == "nmse_ros_db" and one.slice == "all")
            found[model.info.name.split("/")[1], norm] = value
            print(f"{name} seed {seed} {norm:6s} {model.info.name:22s} {value:7.2f} dB", flush=True)
    return found


def louder(name: str, samples: int, out: Path) -> str:
    """Median power of the predicted half over that of the observed one, by normalisation, first seed."""
    values = []
    for norm in NORMS:
        channel = dataset(name, norm, 1, samples, out).read("channel", np.arange(samples))
        power = (np.abs(channel) ** 2).mean(axis=(2, 3, 4), dtype=np.float64)
        past, future = (half.mean(axis=1) for half in np.split(power, 2, axis=1))
        values.append(f"{10 * np.log10(np.median(future / past)):.2f}".replace("-", "−"))
    return f"{name.upper()} {', '.join(values)} dB"


def mean_and_half(values: npt.NDArray[np.float64], sign: str = "") -> str:
    """Mean over the seeds and half its 95 % interval (Student)."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():{sign}.2f} ± {half:.2f}".replace("-", "−")


def main() -> None:
    """Measure, print and rewrite the page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/power-normalisation"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=1000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in SETS:
        runs = [scores(name, seed, args.samples, args.out) for seed in range(1, args.seeds + 1)]
        for model in dict.fromkeys(model for model, _ in runs[0]):
            db = {norm: np.array([run[model, norm] for run in runs]) for norm in NORMS}
            effects = (db["track"] - db["causal"], db["causal"] - db["none"])
            cells = [mean_and_half(db[norm]) for norm in NORMS] + [mean_and_half(one, "+") for one in effects]
            lines.append(f"| {name.upper()} | `{model}` | {' | '.join(cells)} |")
    head = ["set", "predictor", *(f"`{norm}`" for norm in NORMS), "track − causal", "causal − none"]
    text = "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines, ""])
    steps = "; ".join(louder(name, args.samples, args.out) for name in SETS)
    text += f"\nMedian power of the predicted over the observed half ({', '.join(NORMS)}; first seed): {steps}.\n"
    text = f"{args.seeds} seeds, {args.samples} users each (one in five is tested).\n\n{text}"
    print(text)
    begin, end = MARK.format("begin"), MARK.format("end")
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}\n{text}{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
