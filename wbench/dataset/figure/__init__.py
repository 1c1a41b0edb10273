"""One page that shows what a dataset holds. ``plot_dataset`` draws and saves it; matplotlib is imported only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wbench.dataset.reader import Dataset

__all__ = ["SUFFIXES", "plot_dataset", "plot_scene"]

#: File types that can be written.
SUFFIXES = (".png", ".pdf", ".svg")


def plot_dataset(dataset: Dataset, file: str | Path) -> Path:
    """Draw a dataset on one A4 page.

    Parameters
    ----------
    dataset : Dataset
        Complete or not; at most 2000 samples of it are read, the same ones every time.
    file : str or Path
        A ``.png``, ``.pdf`` or ``.svg`` file; its folder is made. The same dataset gives the same bytes.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        Another file type, or a file that cannot be written.
    MissingDependencyError
        matplotlib is not installed.
    DatasetError
        No shard has been written yet.
    """

    def page() -> Any:
        from wbench.dataset.figure.page import draw

        return draw(dataset)

    return _save(page, file)


def plot_scene(dataset: Dataset, file: str | Path, scene: str, **sides: Any) -> Path:
    """Draw one scene from above: users by line of sight, path gain, best beam and side of a split.

    Parameters
    ----------
    dataset : Dataset
        Complete, with scenes.
    file : str or Path
        As for :func:`plot_dataset`, which also says what is raised.
    scene : str
        Name of the scene.
    **sides
        ``sides`` and ``split`` of :class:`~wbench.dataset.figure.scene.SceneView`.

    Raises
    ------
    UnknownNameError
        If the dataset has no scene of that name.
    """
    from wbench.errors import UnknownNameError

    numbers = {entry["name"]: int(entry["scene"]) for entry in dataset.attributes.get("scenes", [])}
    if scene not in numbers:
        step = f"one of {', '.join(numbers)}" if numbers else "this dataset has no scenes"
        raise UnknownNameError("scene", scene, numbers, next_step=step)
    dataset.require_complete()

    def page() -> Any:
        from wbench.dataset.figure.scene import SceneView, draw_scene

        return draw_scene(dataset, SceneView(numbers[scene], scene, **sides))

    return _save(page, file)


def _save(page: Callable[[], Any], file: str | Path) -> Path:
    from wbench.errors import MissingDependencyError, UsageError

    place = Path(file)
    if place.suffix.lower() not in SUFFIXES:
        why = f"it ends with {place.suffix!r}" if place.suffix else "it has no ending"
        raise UsageError(f"A plot is one of {', '.join(SUFFIXES)}.", where=str(place), why=why)
    try:
        from wbench.dataset.figure.page import save
    except ImportError as error:
        raise MissingDependencyError(
            "Drawing needs matplotlib.", why=str(error), next_step="pip install 'matplotlib>=3.9'"
        ) from error
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        save(page, place)
    except OSError as error:
        raise UsageError("The plot cannot be written.", where=str(place), why=str(error)) from error
    return place
