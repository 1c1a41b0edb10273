"""A pre-training as data: a TOML table that names the sources, the objective and the training."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wbench import registry
from wbench.dataset.spec import explain_validation
from wbench.digest import value_digest
from wbench.errors import PluginError, SpecError, UnknownNameError
from wbench.training.pretext import Pretext
from wbench.training.settings import TrainingSettings

__all__ = ["PretrainConfig", "SourceConfig", "TrainingConfig", "load_config", "pretext_of"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceConfig(_Frozen):
    """Where samples come from: the training side of a task, and nothing else of it.

    Attributes
    ----------
    task : str
        Task instance whose training part is used. Samples of its validation and test part are never read.
    avoid : tuple of str
        Tasks on twin datasets (the same users under other names, such as ``wifo-dN`` of ``qd-dN``): a sample whose id
        is in their validation or test part is left out as well.
    samples : int or None
        At most so many, chosen by a keyed permutation.
    """

    task: str
    avoid: tuple[str, ...] = ()
    samples: int | None = Field(default=None, ge=1)


class TrainingConfig(_Frozen):
    """Numbers of :class:`wbench.training.TrainingSettings`, and what only a GPU does.

    ``precision`` and ``compile`` count on a GPU; on a CPU the arithmetic is float32 and nothing is compiled.
    """

    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    floor: float = Field(default=0.0, ge=0, le=1)
    clip: float | None = Field(default=1.0, gt=0)
    patience: int | None = Field(default=None, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False

    def settings(self, device: str) -> TrainingSettings:
        """The settings on a device."""
        values = self.model_dump(exclude={"compile"})
        return TrainingSettings(**{**values, "precision": self.precision if device == "cuda" else "float32"})


class PretrainConfig(_Frozen):
    """One pre-training.

    Attributes
    ----------
    name : str
        Name of the model that comes out, ``organisation/model``.
    pretext : str
        The objective, ``package.module:Class`` of a :class:`wbench.training.pretext.Pretext`.
    summary, source, licence : str
        One line, the paper with equation, the licence of the weights.
    seed : int
        Root of initial weights, order, masks and noise.
    holdout : float
        Share of the sources' samples that is not trained on; the loss on it is followed, and the weights with the
        lowest one are kept. These are training samples of the tasks too: validation parts are not touched.
    sources : tuple of SourceConfig
        Where samples come from.
    params : dict
        The pretext's own parameters.
    training : TrainingConfig
        Epochs, batch, learning rate.
    """

    name: str
    pretext: str
    summary: str
    source: str = ""
    licence: str = "Apache-2.0"
    seed: int = Field(default=0, ge=0)
    holdout: float = Field(default=0.02, ge=0, le=0.5)
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    params: dict[str, Any] = {}
    training: TrainingConfig

    @property
    def digest(self) -> str:
        """Digest of everything that can move a weight."""
        return value_digest(self.model_dump(mode="json", exclude={"name", "summary", "source", "licence"}))


def load_config(name: str | Path) -> PretrainConfig:
    """Read a preset by registry name or a config from a ``.toml`` file.

    Raises
    ------
    UnknownNameError, SpecError
        No such preset, or a wrong or unknown field.
    """
    path = Path(name)
    if path.suffix != ".toml":
        known = registry.registry().entries["preset"]
        if str(name) not in known:
            step = "one of them, or a config of your own: wbench pretrain ./config.toml"
            raise UnknownNameError("preset", str(name), known, next_step=step)
        path = known[str(name)].path or path
    try:
        return PretrainConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SpecError("The pre-training config cannot be read.", where=str(path), why=str(error)) from error
    except ValidationError as error:
        why = explain_validation(error)
        raise SpecError("The pre-training config is not valid.", where=str(path), why=why) from error


def pretext_of(config: PretrainConfig) -> Pretext:
    """The objective with its parameters checked.

    Raises
    ------
    PluginError, SpecError
        It cannot be imported or is no pretext; a parameter is not valid.
    """
    found = registry.import_reference(config.pretext)
    if not (isinstance(found, type) and issubclass(found, Pretext)):
        raise PluginError("The pretext is not a wbench.training.pretext.Pretext.", where=config.pretext)
    return found(config.params)
