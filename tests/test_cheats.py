"""Models that cheat: each is shown to gain by its cheat where nothing stops it, and to gain nothing here.

In the datasets of this file eight consecutive users stand in one drop and share their label, the town; a channel
alone gives only a weak hint of it.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers_data import install_provider, providers, write_recipe  # noqa: F401 - a fixture
from tests.helpers_files import run_one, write_model
from tests.helpers_lab import Lab
from tests.test_evaluate_codec import codec
from wbench.curves import season_gaps
from wbench.model import Model, load_model
from wbench.run.evaluate import evaluate
from wbench.run.generate import generate
from wbench.run.plan import dataset_path, load_task
from wbench.run.score import score_predictions
from wbench.seeding import SeasonSeed
from wbench.task.base import Task
from wbench.task.part import TaskData

MANIFEST = """
api = 1
[generators.drops]
object = "cheated:Drops"
[families.drop]
object = "cheated:Drop"
[families.near]
object = "cheated:Near"
[families.near-unscaled]
object = "cheated:NearUnscaled"
"""
CODE = """
from contextlib import contextmanager

import numpy as np

from wbench.task.base import Task
from wbench_generators.plane_wave import PlaneWave, PlaneWaveSession


class Session(PlaneWaveSession):
    def simulate(self, block):
        rays, arrays = super().simulate(block)
        town = np.repeat(block.rng("town").integers(0, 2, len(block) // 8), 8)
        return rays, {**arrays, "site": arrays["site"] // 8, "scene": town.astype(np.int32)}


class Drops(PlaneWave):
    @contextmanager
    def open(self, params):
        yield Session(params)


class Near(Task):
    label_arrays = ("path_gain_db",)

    def describe(self, radio):
        return radio.observed(radio.shape, ("time", "rx", "tx", "subcarrier"), classes=2)

    def targets(self, channel, clean, rms, labels):
        return {"label": (labels["path_gain_db"] > -81.0).astype(np.int64)}


class NearUnscaled(Near):
    scale = False


class Drop(Near):
    label_arrays = ("scene",)

    def impair(self, channel, part, ids):
        town = self.read(part, "scene", ids)
        channel[..., :2] *= (1.0 + 0.8 * town)[:, None, None, None, None]
        return channel

    def targets(self, channel, clean, rms, labels):
        return {"label": labels["scene"].astype(np.int64)}
"""
TASK = """
name = "{family}"
version = 1
family = "{family}"
kind = "classify"
summary = "for tests"
primary = "balanced_accuracy"
metrics = ["balanced_accuracy", "auroc"]
trivial = []
[views]
train = {{recipe = "{recipe}", side = "train"}}
val = {{recipe = "{recipe}", side = "val"}}
test = {{recipe = "{recipe}", side = "test"}}
[split]
rule = "{rule}"
"""
#: The hint: power of the first two of four subcarriers against the others.
HINT = """
    def hint(batch):
        power = np.mean(np.abs(batch.x["H"]) ** 2, axis=(1, 2, 3))
        return np.log(power[:, :2].sum(axis=1) / power[:, 2:].sum(axis=1))

    def scores(margin):
        return np.stack([0 * margin, margin], axis=1)
"""


@pytest.fixture
def drops(providers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:  # noqa: F811
    """Task files of families on a dataset of 50 drops with eight users each."""
    install_provider(providers, "cheated", MANIFEST, CODE)
    monkeypatch.setenv("WBENCH_DATA", str(tmp_path / "data"))
    recipe = write_recipe(tmp_path, "drops", samples=800, block=80, shard_blocks=5)
    recipe.write_text(recipe.read_text().replace('generator = "plane-wave"', 'generator = "drops"'))
    assert not generate(recipe, size="tiny").failures

    def task(family: str = "drop", rule: str = "S2") -> Path:
        path = tmp_path / f"{family}-{rule}.toml"
        noise = "[noise]\nsnr_db = [0]\n" if family == "drop" else ""
        path.write_text(TASK.format(family=family, recipe=recipe, rule=rule) + noise)
        return path

    return task


def unguarded(reference: str, task: Task, size: int = 1000) -> float:
    """Primary metric of a predictor that is asked as it likes: nothing is answered a second time."""
    model: Any = load_model(reference)
    model.setup(task.spec, task.meta)
    if model.info.trains:
        model.fit(TaskData(task, "train"), TaskData(task, "val"), 0)
    ids = task.ids("test")
    answers = np.concatenate([model.predict(batch) for batch in task.batches("test", ids, size)])
    found, _ = score_predictions(task, ids, answers.astype(np.float32), {})
    return next(score.value for score in found if (score.metric, score.slice) == ("balanced_accuracy", "ranked"))


def predictor(folder: Path, line: str, fit: str = "", trains: bool = False, extra: str = HINT) -> str:
    body = f"""
class Mine(wbench.Predictor):
    info = wbench.ModelInfo("test/cheat", trains={trains})
    {fit or "memory = {}"}

    def predict(self, batch):
        {line}
"""
    return write_model(folder, textwrap.dedent(extra) + body)


@pytest.mark.parametrize(
    ("honest", "cheat"),
    [
        # Statistics of the batch, as a threshold of the ratio that nobody has told.
        ("np.exp(hint(batch))", "hint(batch) - np.median(hint(batch))"),
        ("np.exp(hint(batch))", "np.argsort(np.argsort(hint(batch))) - len(batch) / 2"),
        # Order: users of one drop come one after the other, and several hints tell more than one.
        ("hint(batch) - 0.27", "np.convolve(hint(batch) - 0.27, np.ones(5))[2:-2]"),
        # Order, through the model's own state.
        ("hint(batch) - 0.27", "np.stack([self.smoothed(h - 0.27) for h in hint(batch)])"),
    ],
    ids=["median", "ranks", "neighbours", "state"],
)
def test_batch_statistics_and_order(drops: Callable[..., Path], tmp_path: Path, honest: str, cheat: str) -> None:
    task = drops()
    smoothed = """
    level = 0.0

    def smoothed(self, hint):
        self.level = 0.7 * self.level + hint
        return self.level
""".strip()
    gain = unguarded(predictor(tmp_path, f"return scores({cheat})", smoothed), load_task(task, size="tiny"))
    cell = run_one(predictor(tmp_path, f"return scores({honest})"), task, tmp_path)
    assert cell.result is not None, cell.reason
    assert gain > cell.result.primary().value + 0.05
    caught = run_one(predictor(tmp_path, f"return scores({cheat})", smoothed), task, tmp_path)
    assert caught.status == "failed"
    assert "depends on the other samples of its batch, or on what came before" in caught.reason


def test_an_embedder_by_batch_statistics(drops: Callable[..., Path], tmp_path: Path) -> None:
    body = """
        class Mine(wbench.Embedder):
            info = wbench.ModelInfo("test/cheat")

            def embed(self, batch):
                h = np.abs(batch.x["H"]).mean(axis=(1, 2, 3)).astype(np.float32)
                return (h{minus})[:, None]
    """
    task = drops()
    assert run_one(write_model(tmp_path, body.replace("{minus}", "")), task, tmp_path).status == "done"
    caught = run_one(write_model(tmp_path, body.replace("{minus}", " - h.mean(axis=0)")), task, tmp_path)
    assert caught.status == "failed"
    assert "other samples of its batch" in caught.reason


def test_gain_tells_nothing(drops: Callable[..., Path], tmp_path: Path) -> None:
    """Near users are heard louder: a meter of the power is right wherever samples are not scaled."""
    power = "return scores(np.log(np.mean(np.abs(batch.x['H']) ** 2, axis=(1, 2, 3, 4))) - self.cut)"
    fit = """
    def fit(self, train, val, seed):
        batch, truth = train.load()
        power = np.log(np.mean(np.abs(batch.x["H"]) ** 2, axis=(1, 2, 3, 4)))
        self.cut = np.mean([power[truth["label"] == k].mean() for k in (0, 1)])
"""
    reference = predictor(tmp_path, power, fit.strip(), trains=True)
    aurocs = {}
    for family in ("near-unscaled", "near"):
        cell = run_one(reference, drops(family), tmp_path)
        assert cell.result is not None, cell.reason
        score = cell.result.score("auroc")
        assert score is not None
        aurocs[family] = score.value
    assert aurocs["near-unscaled"] > 0.95
    assert abs(aurocs["near"] - 0.5) < 0.12


def test_targets_of_other_indices(drops: Callable[..., Path], tmp_path: Path) -> None:
    """The answer of the training sample with the nearest number: right for a random split, worth nothing by drops."""
    fit = """
    def fit(self, train, val, seed):
        batch, truth = train.load()
        self.ids, self.label = batch.ids, truth["label"]
"""
    nearest = "near = np.abs(self.ids - batch.ids[:, None]).argmin(axis=1); return scores(self.label[near] - 0.5)"
    reference = predictor(tmp_path, nearest, fit.strip(), trains=True)
    values = {}
    for rule in ("S0", "S2"):
        cell = run_one(reference, drops(rule=rule), tmp_path)
        assert cell.result is not None, cell.reason
        values[rule] = cell.result.primary().value
    assert values["S0"] > 0.9
    assert abs(values["S2"] - 0.5) < 0.2


def test_a_model_that_knows_the_test_labels_by_heart(drops: Callable[..., Path], tmp_path: Path) -> None:
    """No run on published data can tell knowledge from skill. A hidden season can."""
    task, seed = drops(), SeasonSeed(bytes(32))
    known = load_task(task, size="tiny")
    labels = known.truth("test", known.ids("test"))["label"]
    by_heart = predictor(
        tmp_path, "return scores(np.array([self.memory.get(int(i), hint(batch)[n]) for n, i in enumerate(batch.ids)]))"
    )
    cheat: type[Model] = type(load_model(by_heart))
    cheat.memory = dict(zip(known.ids("test").tolist(), labels - 0.5, strict=True))  # type: ignore[attr-defined]
    honest = predictor(tmp_path, "return scores(hint(batch) - 0.27)")
    generate(tmp_path / "drops.toml", size="tiny", out=dataset_path("drops", "tiny", season=seed.name), season=seed)
    losses = {}
    for name, reference in {"cheat": by_heart, "honest": honest}.items():
        results = []
        for season in ("", seed.name):
            report = evaluate([reference], [task], size="tiny", out=tmp_path / name, season=season)
            assert not report.failures, report.failures[0].reason
            results += report.results
        (gap,) = season_gaps(results, "balanced_accuracy")
        assert gap.se is not None
        losses[name] = gap.loss, gap.loss / max(gap.se, 1e-9), gap.public
    assert losses["cheat"][2] == 1.0
    assert losses["cheat"][0] > 0.2
    assert losses["cheat"][1] > 4
    assert abs(losses["honest"][1]) < 3


def test_memory_across_encode_and_decode(lab: Lab, tmp_path: Path) -> None:
    """Both halves in one process would be perfect at 16 bits; in two they are worth nothing."""
    encode = """
        first = len(Mine.memory)
        Mine.memory.update({first + i: h for i, h in enumerate(batch.x["H"])})
        return [wbench.Payload((first + i).to_bytes(2, "big"), 16) for i in range(len(batch))]
    """
    decode = "return Mine.memory.get(int.from_bytes(payload.data, 'big'), np.zeros(self.shape, complex))"
    reference, task = codec(tmp_path, encode, decode), lab.task("ratio")
    model: Any = load_model(reference)
    model.setup(task.spec, task.meta)
    ids = task.ids("test")
    (batch,) = task.batches("test", ids, 1000)
    perfect, _ = score_predictions(task, ids, model.decoder()(model.encoder()(batch)).astype(np.complex64), {})
    assert perfect[0].value == -300
    type(model).memory.clear()
    cell = run_one(reference, lab.toml("ratio"), tmp_path)
    assert cell.result is not None, cell.reason
    assert cell.result.primary().value == 0.0


SENT = 'return [wbench.Payload((first + i).to_bytes(2, "big"), 16) for i in range(len(batch))]'
ENVIRONMENT = (
    f"""
    import os
    text = os.environ.get("CHEAT", "")
    first = len(text) // 1024
    os.environ["CHEAT"] = text + "".join(h.astype("c8").tobytes().hex() for h in batch.x["H"])
    {SENT}
    """,
    """
    import os
    i = 1024 * int.from_bytes(payload.data, "big")
    text = os.environ.get("CHEAT", "")[i : i + 1024]
    """,
)
MODULE_PATH = (
    f"""
    import sys
    first = sum(part.startswith("/cheat/") for part in sys.path)
    sys.path += ["/cheat/" + h.astype("c8").tobytes().hex() for h in batch.x["H"]]
    {SENT}
    """,
    """
    import sys
    i = int.from_bytes(payload.data, "big")
    text = "".join([part[7:] for part in sys.path if part.startswith("/cheat/")][i : i + 1])
    """,
)


@pytest.mark.parametrize(("encode", "decode"), [ENVIRONMENT, MODULE_PATH], ids=["environment", "module path"])
def test_memory_outside_the_model(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encode: str, decode: str
) -> None:
    """What a process gives to those that it starts: environment variables, where modules are looked for."""
    monkeypatch.setenv("CHEAT", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    decode += """
    known = np.frombuffer(bytes.fromhex(text), "c8") if text else np.zeros(64)
    return known.reshape(self.shape)
    """
    reference, task = codec(tmp_path, encode, decode), lab.task("ratio")
    model: Any = load_model(reference)
    model.setup(task.spec, task.meta)
    ids = task.ids("test")
    (batch,) = task.batches("test", ids, 1000)
    perfect, _ = score_predictions(task, ids, model.decoder()(model.encoder()(batch)).astype(np.complex64), {})
    assert perfect[0].value == -300
    monkeypatch.setenv("CHEAT", "")
    sys.path[:] = [part for part in sys.path if not part.startswith("/cheat/")]
    cell = run_one(reference, lab.toml("ratio"), tmp_path)
    assert cell.result is not None, cell.reason
    assert cell.result.primary().value == 0.0
