"""A model that was trained here, as a model folder: anyone can evaluate it without training, or pair its halves."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wbench.model import Model
from wbench.model_folder import find_folder, read_folder
from wbench.run.model_folder import WEIGHTS, write_description

__all__ = ["save_trained"]


def save_trained(folder: Path, reference: str, model: Model, seen: Sequence[str] = (), samples: int = 0) -> bool:
    """Write weights and ``model.toml``, if the model is a PyTorch network that takes ``weights``; True if it is.

    Parameters
    ----------
    folder : Path
        It exists.
    reference : str
        What the model was loaded from.
    model : Model
        Fitted. Its ``module`` holds the weights, its ``params`` the keyword arguments that it was constructed with.
    seen, samples : sequence of str, int
        Datasets that it was fitted to, as ``recipe-size (side)``, and how many training samples. The folder declares
        them: what is zero-shot elsewhere is not clean of these.

    Raises
    ------
    ResultError
        A file cannot be written.
    """
    module: Any = getattr(model, "module", None)
    if not hasattr(module, "state_dict") or "weights" not in inspect.signature(type(model)).parameters:
        return False
    from wbench.weights import save_weights, weights_digest

    state = module.state_dict()
    save_weights(folder / WEIGHTS, state, {"format": "pt", "model": model.info.name})
    code = {"object": _source(reference)} if ":" in _source(reference) else {"model": _source(reference)}
    revision = f"{model.info.revision}-{weights_digest(state)[7:19]}"
    info: dict[str, Any] = {"revision": revision, "trains": False, "stochastic": False}
    if seen:
        before = model.info.pretraining_samples
        info["pretraining"] = list(dict.fromkeys((*model.info.pretraining, *seen)))
        info["pretraining_samples"] = samples + before if before or not model.info.pretraining else 0  # 0: not known
        info["overlap"] = "dataset"
    write_description(folder, code, getattr(model, "params", {}), info)
    return True


def _source(reference: str) -> str:
    """Class or registry name behind a reference, wherever it is read from."""
    path = find_folder(reference)
    found = reference if path is None else read_folder(path).reference
    place, colon, name = found.rpartition(":")
    return f"{Path(place).absolute()}{colon}{name}" if place.endswith(".py") else found
