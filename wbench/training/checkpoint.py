"""Checkpoints: weights, optimiser state and counters in one safetensors file, replaced atomically, nothing pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from wbench.errors import ModelError
from wbench.saving import replacing

__all__ = ["load_checkpoint", "optimizer_tensors", "restore_optimizer", "save_checkpoint"]

_FORMAT = "wbench-training-1"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts: a file of that name is either absent or whole.

    Raises
    ------
    ResultError
        If it cannot be written. A failed save is an error, never a warning.
    """
    from safetensors.torch import save_file

    # Clones: weights may share their memory (tied layers), which the format refuses.
    whole = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    with replacing(path, "The checkpoint") as temporary:
        save_file(whole, temporary, metadata={"format": _FORMAT, "facts": json.dumps(facts)})


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote, to the CPU.

    Raises
    ------
    ModelError
        If the file is damaged or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"its format is {metadata.get('format')!r}, not {_FORMAT!r}")
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a mapping)
        return tensors, json.loads(metadata["facts"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        step = "remove it to start from the beginning"
        raise ModelError("The checkpoint cannot be read.", where=str(path), why=str(error), next_step=step) from error


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """State of an optimiser whose state is tensors only (Adam's), by ``index.name``."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, values in state.items() for name, tensor in values.items()}


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put :func:`optimizer_tensors` back; the groups are those that the optimiser has."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
