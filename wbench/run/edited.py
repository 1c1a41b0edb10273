"""Files of a model that were edited after a result of the same declared revision: it may be of other code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from wbench.model import Model
from wbench.model_folder import FILE, find_folder, read_folder
from wbench.two_sided import split

__all__ = ["modified", "newest_file"]


def newest_file(reference: str, model: Model) -> Path | None:
    """The file that was edited last of those whose contents a declared revision stands for.

    Only of models that are a file or a folder: those of packages get new times with every installation, and pairs of
    an encoder and a decoder are left out. A revision that is a digest of the files says itself that they changed.

    Parameters
    ----------
    reference : str
        The model as it was named.
    model : Model
        What was loaded from it.

    Returns
    -------
    Path or None
        None if no file can change while the revision stays.
    """
    return max(_declared_for(reference, model), key=modified, default=None)


def modified(path: Path) -> float:
    """When a file was written last, in seconds."""
    return path.stat().st_mtime


def _declared_for(reference: str, model: Model) -> Iterable[Path]:
    """Files that can change while the revision stays."""
    if split(reference) is not None:  # the halves of a pair are not loaded by their names here
        return []
    path = find_folder(reference)
    folder = None if path is None else read_folder(path)
    code = (reference if folder is None else folder.reference).rpartition(":")[0]
    found: list[Path] = []
    by_folder = folder is not None and folder.table.info.revision is not None
    of_class = getattr(type(model), "info", None)
    if code.endswith(".py") and (by_folder or (of_class is not None and of_class.revision)):
        found.append(Path(inspect.getsourcefile(type(model)) or code))
        if folder is None:
            found += model.files
    if folder is not None and by_folder:
        found += [folder.path / FILE, *model.files, *([] if folder.weights is None else [folder.weights])]
    return (file for one in found for file in ([one] if one.is_file() else one.rglob("*")) if file.is_file())
