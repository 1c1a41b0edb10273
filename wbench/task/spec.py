"""One task instance as data: a TOML table, checked, frozen and digested."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from wbench import registry
from wbench.dataset.spec import explain_validation
from wbench.digest import value_digest
from wbench.errors import SpecError

__all__ = ["Kind", "Limit", "Noise", "Part", "Split", "Suite", "TaskSpec", "View", "load_spec", "load_suite"]

Kind = Literal["classify", "regress", "reconstruct", "compress"]
Part = Literal["train", "val", "test"]
Side = Literal["train", "val", "test", "all"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(_Frozen):
    """How the units of a dataset are dealt to the sides (protocol: "Splits, budgets, regimes").

    Attributes
    ----------
    rule : {"S0", "S1", "S2", "S3"}
        ``S0`` deals samples at random (diagnostic, never ranked). ``S1`` deals squares on the ground by user position,
        across all base stations of a scene, and leaves out users near another side. ``S2`` deals whole drops. ``S3``
        deals whole scenes, or tests on the ``held`` ones and deals the others as ``S1`` does. All by a keyed
        permutation.
    unit : str
        Dataset array of the drop or scene that is never divided (S2, S3).
    fractions : dict
        Share of the units on each side.
    block_m, guard_m : float
        Side of a square in m; least distance in m, on the ground, of a training user to any validation or test user,
        and of a validation user to any test user (S1, and S3 with ``held``).
    held : tuple of str
        Names of the test scenes (S3).
    version : int
        Raised to deal anew.
    """

    rule: Literal["S0", "S1", "S2", "S3"]
    unit: str = "site"
    fractions: dict[Part, float] = {"train": 0.7, "val": 0.1, "test": 0.2}
    block_m: float = Field(default=40.0, ge=40)
    guard_m: float = Field(default=10.0, ge=10)
    held: tuple[str, ...] = ()
    version: int = 1

    @model_validator(mode="after")
    def _whole(self) -> Split:
        if set(self.fractions) != {"train", "val", "test"} or abs(sum(self.fractions.values()) - 1) > 1e-9:
            raise ValueError("fractions needs train, val and test, and they must add up to 1")
        if min(self.fractions.values()) <= 0:
            raise ValueError("every fraction must be positive")
        if self.held and self.rule != "S3":
            raise ValueError("held goes with the rule S3")
        return self

    @property
    def spatial(self) -> bool:
        """Whether squares on the ground are dealt."""
        return self.rule == "S1" or bool(self.held)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Dataset arrays that the rule looks at."""
        if self.spatial:
            return ("scene", "ue_position")
        return () if self.rule == "S0" else (self.unit,)

    @property
    def digest(self) -> str:
        """Digest of the rule; together with a dataset's spec digest it fixes the split."""
        spatial = set() if self.spatial else {"block_m", "guard_m", "held"}
        return value_digest(self.model_dump(mode="json", exclude=spatial))


class View(_Frozen):
    """Where one part comes from: a side of the split of a recipe's dataset.

    ``all`` is the whole dataset: the held-out scenario, generator or season, which no other part may touch.
    """

    recipe: str
    side: Side


class Noise(_Frozen):
    """One SNR per sample, drawn uniformly from ``snr_db``; variance relative to the observed part."""

    snr_db: tuple[FiniteFloat, ...] = Field(min_length=1)


class Limit(_Frozen):
    """The hard cap on a payload of a ``compress`` task: ``reals`` (float32 each, side values included) or ``bits``."""

    reals: int | None = Field(default=None, gt=0)
    bits: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Limit:
        if (self.reals is None) == (self.bits is None):
            raise ValueError("a limit has either reals or bits")
        return self

    @property
    def max_bits(self) -> int:
        """The cap in bits."""
        return self.bits if self.bits is not None else 32 * (self.reals or 0)


class TaskSpec(_Frozen):
    """One instance of a task family.

    Attributes
    ----------
    name, version : str, int
        The instance. A change that can move a number is a new version.
    family : str
        Registry name of the task class that turns channels into observations and targets.
    kind : {"classify", "regress", "reconstruct", "compress"}
        What a model has to return.
    views : dict
        Recipe and side of each part.
    split : Split
        How each recipe's dataset is cut.
    channel : str
        The channel array that is observed.
    params : dict
        The family's own parameters.
    noise : Noise or None
        SNR rule; None means a clean observation.
    primary, metrics : str, tuple of str
        Ranked metric and all reported metrics, primary included.
    ranked_slice : dict of str to (low, high)
        Closed ranges of slice columns that a test sample must lie in to count for the ranking.
    trivial : tuple of str
        Models that must be there; skill is measured against the best of them.
    limit : Limit or None
        Payload cap of a ``compress`` task.
    cluster : str
        Dataset array of the interval clusters.
    budgets : tuple of float
        Training budgets in percent that are ranked.
    audit_blocks : tuple of int
        Blocks that a checker regenerates and rescores.
    summary : str
        One line for people; not part of the digest.
    """

    name: str
    version: int = Field(ge=1)
    family: str
    kind: Kind
    summary: str
    views: dict[Part, View]
    split: Split
    channel: str = "channel"
    params: dict[str, Any] = {}
    noise: Noise | None = None
    primary: str
    metrics: tuple[str, ...]
    ranked_slice: dict[str, tuple[float, float]] = {}
    trivial: tuple[str, ...]
    limit: Limit | None = None
    cluster: str = "site"
    budgets: tuple[float, ...] = (100.0,)
    audit_blocks: tuple[int, ...] = (0,)

    @model_validator(mode="after")
    def _consistent(self) -> TaskSpec:
        if set(self.views) != {"train", "val", "test"}:
            raise ValueError("views needs train, val and test")
        if len({(view.recipe, view.side) for view in self.views.values()}) < len(self.views):
            raise ValueError("two parts are the same side of the same dataset: training would see the test part")
        whole = [view.recipe for view in self.views.values() if view.side == "all"]
        if any(recipe in whole for recipe in (v.recipe for v in self.views.values() if v.side != "all")):
            raise ValueError("a dataset of which one part is the whole serves no other part")
        if any(not 0 < budget <= 100 for budget in self.budgets):
            raise ValueError("a budget is a percentage in (0, 100]")
        if any(not low <= high for low, high in self.ranked_slice.values()):
            raise ValueError("a ranked slice is (low, high)")
        if self.primary not in self.metrics:
            raise ValueError(f"primary metric {self.primary!r} is not among the metrics")
        if (self.kind == "compress") != (self.limit is not None):
            raise ValueError("a limit goes with kind 'compress', and only with it")
        return self

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the recipes that the views use, each once."""
        return tuple(dict.fromkeys(view.recipe for view in self.views.values()))

    @cached_property
    def digest(self) -> str:
        """Digest of everything that can move a number."""
        return value_digest(self.model_dump(mode="json", exclude={"summary"}))


class Suite(_Frozen):
    """A dated list of task instances that are ranked together.

    ``status`` is ``draft`` while instances may still come, then ``frozen``: a frozen suite holds the ``digests`` of its
    instances and, where it ranks, the spec digests of the ``standard`` datasets that they are made from.
    """

    name: str
    status: Literal["draft", "frozen"]
    summary: str
    tasks: tuple[str, ...]
    digests: dict[str, str] = {}
    datasets: dict[str, str] = {}

    @model_validator(mode="after")
    def _held(self) -> Suite:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("a task stands there twice")
        if (self.status == "frozen" or self.digests) and set(self.digests) != set(self.tasks):
            differ = sorted(set(self.digests) ^ set(self.tasks))
            raise ValueError(f"a frozen suite has the digest of each of its tasks: {', '.join(differ[:5])}")
        return self

    def changed(self) -> list[str]:
        """Tasks of a frozen suite that are no longer what was frozen, in its order.

        Raises
        ------
        UnknownNameError, SpecError
            A task is not installed, or its file is not valid.
        """
        return [name for name in self.tasks if self.digests and load_spec(name).digest != self.digests[name]]


def load_spec(name: str | Path) -> TaskSpec:
    """Read a task instance by registry name or from a ``.toml`` file.

    Raises
    ------
    UnknownNameError, SpecError
        No such instance, or a wrong or unknown field.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = registry.registry().get("task", str(name)).path or path
    try:
        spec = TaskSpec.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SpecError("The task instance cannot be read.", where=str(path), why=str(error)) from error
    except ValidationError as error:
        raise SpecError("The task instance is not valid.", where=str(path), why=explain_validation(error)) from error
    return spec


def load_suite(name: str) -> Suite:
    """Read a suite by registry name.

    Raises
    ------
    UnknownNameError, SpecError
        No such suite, or a wrong or unknown field.
    """
    path = registry.registry().get("suite", name).path or Path(name)
    try:
        return Suite.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SpecError("The suite cannot be read.", where=str(path), why=str(error)) from error
    except ValidationError as error:
        raise SpecError("The suite is not valid.", where=str(path), why=explain_validation(error)) from error
