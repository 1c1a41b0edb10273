"""One page that shows what a dataset holds. ``plot_dataset`` draws and saves it; matplotlib is imported only then."""

from __future__ import annotations

from pathlib import Path

from wbench.dataset.reader import Dataset

__all__ = ["SUFFIXES", "plot_dataset"]

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
    from wbench.errors import MissingDependencyError, UsageError

    place = Path(file)
    if place.suffix.lower() not in SUFFIXES:
        why = f"it ends with {place.suffix!r}" if place.suffix else "it has no ending"
        raise UsageError(f"A plot is one of {', '.join(SUFFIXES)}.", where=str(place), why=why)
    try:
        from wbench.dataset.figure.page import draw, save
    except ImportError as error:
        raise MissingDependencyError(
            "Drawing needs matplotlib.", why=str(error), next_step="pip install 'matplotlib>=3.9'"
        ) from error
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        save(lambda: draw(dataset), place)
    except OSError as error:
        raise UsageError("The plot cannot be written.", where=str(place), why=str(error)) from error
    return place
