"""A model that was trained here, as a model folder: anyone can evaluate it without training, or pair its halves."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wbench.model import Model
from wbench.model_folder import find_folder, read_folder
from wbench.run.model_folder import WEIGHTS, remove_description, write_description

__all__ = ["save_trained"]


def save_trained(folder: Path, reference: str, model: Model, seen: Sequence[str] = (), samples: int = 0) -> bool:
    """Write weights and ``model.toml``, if the model trained a PyTorch network and takes ``weights``; True if so.

    Parameters
    ----------
    folder : Path
        It exists.
    reference : str
        What the model was loaded from.
    model : Model
        Fitted. Its ``module`` holds the weights, or ``saved_weights()`` gives them with what else it has learnt; its
        ``params`` are keyword arguments that it was constructed with, besides those of the folder it came from.
    seen, samples : sequence of str, int
        Datasets that it was fitted to, as ``recipe-size (side)``, and how many training samples. The folder declares
        them: what is zero-shot elsewhere is not clean of these.

    Raises
    ------
    ResultError
        A file cannot be written.
    """
    module: Any = getattr(model, "module", None)
    if not (model.info.trains and hasattr(module, "state_dict") and _takes_weights(type(model))):
        return False
    from wbench.weights import save_weights, weights_digest

    code, params = _code(reference), {**_given(reference), **getattr(model, "params", {})}
    saved = getattr(model, "saved_weights", None)
    state = module.state_dict() if saved is None else saved()
    # First: a folder with a description is whole, and that of an earlier training is not one of these weights.
    remove_description(folder)
    save_weights(folder / WEIGHTS, state, {"format": "pt", "model": model.info.name})
    revision = f"{model.info.revision}-{weights_digest(state)[7:19]}"
    info: dict[str, Any] = {"revision": revision, "trains": False, "stochastic": False}
    if seen:
        before = model.info.pretraining_samples
        info["pretraining"] = list(dict.fromkeys((*model.info.pretraining, *seen)))
        info["pretraining_samples"] = samples + before if before or not model.info.pretraining else 0  # 0: not known
        info["overlap"] = "dataset"
    write_description(folder, code, params, info)
    return True


def _takes_weights(kind: type) -> bool:
    """Whether a class can be constructed with ``weights``, which its own arguments may pass on to its base."""
    for owner in kind.__mro__:
        if "__init__" not in vars(owner):
            continue
        arguments = inspect.signature(vars(owner)["__init__"]).parameters
        if "weights" in arguments:
            return True
        if not any(one.kind is one.VAR_KEYWORD for one in arguments.values()):
            return False
    return False


def _code(reference: str) -> dict[str, str]:
    source = _source(reference)
    return {"object": source} if ":" in source else {"model": source}


def _given(reference: str) -> dict[str, Any]:
    """The parameters of the folder that a reference names."""
    path = find_folder(reference)
    return {} if path is None else read_folder(path).table.params


def _source(reference: str) -> str:
    """Class or registry name behind a reference, wherever it is read from."""
    path = find_folder(reference)
    found = reference if path is None else read_folder(path).reference
    place, colon, name = found.rpartition(":")
    return f"{Path(place).absolute()}{colon}{name}" if place.endswith(".py") else found
