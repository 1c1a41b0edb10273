"""Few-shot training parts: the same number of samples of every class, by keyed permutation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wbench.errors import SpecError
from wbench.seeding import keyed_permutation

__all__ = ["shot_ids"]

Ids = npt.NDArray[np.int64]
#: Labels are asked for so many samples at a time: ten shots do not need a whole training part.
CHUNK = 256


def shot_ids(
    ids: Ids,
    labels: Callable[[Ids], npt.NDArray[np.int64]],
    classes: int,
    shots: int,
    *key: str,
    fewer: bool = False,
) -> Ids:
    """Ids with exactly ``shots`` samples of every class.

    Parameters
    ----------
    ids : int64 ndarray
        Ids of the whole part.
    labels : callable
        Labels of some ids, int [n].
    classes : int
        Number of classes.
    shots : int
        Samples of each class.
    *key : str
        What the draw depends on: its number, digests, the part.
    fewer : bool
        Take what there is of a class that has fewer samples (validation parts), but at least one.

    Returns
    -------
    int64 ndarray
        Sorted ids. Those of fewer shots under the same key are among them.

    Raises
    ------
    SpecError
        If there are not so many samples of a class.
    """
    if shots < 1:
        raise SpecError(f"Shots are a count from 1 on, not {shots}.", next_step="--shots 10")
    order = ids[keyed_permutation(len(ids), "shots", *key)]
    taken: list[Ids] = []
    count = np.zeros(classes, dtype=np.int64)
    for start in range(0, len(order), CHUNK):
        some = order[start : start + CHUNK]
        label = np.asarray(labels(some))
        for cls in np.flatnonzero(count < shots):
            mine = some[label == cls][: shots - count[cls]]
            count[cls] += len(mine)
            taken.append(mine)
        if count.min() >= shots:
            return np.sort(np.concatenate(taken))
    few = int(count.argmin())
    if fewer and count[few] > 0:
        return np.sort(np.concatenate(taken))
    raise SpecError(f"There are not {shots} samples of every class.", why=f"{count[few]} of class {few}")
