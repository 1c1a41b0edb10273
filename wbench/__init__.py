"""wbench: wireless channel datasets from real simulators, tasks with fixed splits, baselines, and a leaderboard.

Everything the command line does is a function here::

    wbench.generate("snap-umi", size="tiny")          # simulator -> Zarr
    wbench.open_dataset("data/snap-umi-tiny.zarr")     # read it
    wbench.load_task("los-nlos-umi", size="tiny")      # a view with a split
    wbench.load_model("wbench/knn")                    # or "./my_model.py:MyModel"
    wbench.train("wbench/logistic", "los-nlos-umi")    # what a model chooses on validation, and from what
    wbench.evaluate(models=["wbench/knn"], tasks=["los-nlos-umi"], size="tiny")
    wbench.score("results/…/result.json")              # recompute from predictions

Names are imported when they are first used, so that ``import wbench`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wbench.dataset.pytorch import torch_dataset
    from wbench.dataset.reader import Dataset, open_dataset
    from wbench.errors import WBenchError
    from wbench.generator import Block, Generator, Layout, Session, Synthesis
    from wbench.metric.base import Metric
    from wbench.model import Codec, Embedder, Model, ModelInfo, Payload, Predictor, TorchEmbedder, load_model
    from wbench.result import Result
    from wbench.run.evaluate import evaluate
    from wbench.run.generate import generate
    from wbench.run.plan import load_task
    from wbench.run.score import score
    from wbench.run.train import train
    from wbench.task.base import Task
    from wbench.task.batch import Batch, ChannelMeta
    from wbench.task.spec import TaskSpec
    from wbench.two_sided import DecoderPart, EncoderPart, PayloadFormat

__version__ = "0.1.0"

_WHERE = {
    "Batch": "wbench.task.batch",
    "Block": "wbench.generator",
    "ChannelMeta": "wbench.task.batch",
    "Codec": "wbench.model",
    "Dataset": "wbench.dataset.reader",
    "DecoderPart": "wbench.two_sided",
    "Embedder": "wbench.model",
    "EncoderPart": "wbench.two_sided",
    "Generator": "wbench.generator",
    "Layout": "wbench.generator",
    "Metric": "wbench.metric.base",
    "Model": "wbench.model",
    "ModelInfo": "wbench.model",
    "Payload": "wbench.model",
    "PayloadFormat": "wbench.two_sided",
    "Predictor": "wbench.model",
    "Result": "wbench.result",
    "Session": "wbench.generator",
    "Synthesis": "wbench.generator",
    "Task": "wbench.task.base",
    "TaskSpec": "wbench.task.spec",
    "TorchEmbedder": "wbench.model",
    "WBenchError": "wbench.errors",
    "evaluate": "wbench.run.evaluate",
    "generate": "wbench.run.generate",
    "load_model": "wbench.model",
    "load_task": "wbench.run.plan",
    "open_dataset": "wbench.dataset.reader",
    "score": "wbench.run.score",
    "torch_dataset": "wbench.dataset.pytorch",
    "train": "wbench.run.train",
}

__all__ = [
    "Batch",
    "Block",
    "ChannelMeta",
    "Codec",
    "Dataset",
    "DecoderPart",
    "Embedder",
    "EncoderPart",
    "Generator",
    "Layout",
    "Metric",
    "Model",
    "ModelInfo",
    "Payload",
    "PayloadFormat",
    "Predictor",
    "Result",
    "Session",
    "Synthesis",
    "Task",
    "TaskSpec",
    "TorchEmbedder",
    "WBenchError",
    "__version__",
    "evaluate",
    "generate",
    "load_model",
    "load_task",
    "open_dataset",
    "score",
    "torch_dataset",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'wbench' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
