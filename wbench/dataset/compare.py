"""Comparing two whole datasets, shard by shard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wbench.dataset.fingerprint import KEPT
from wbench.dataset.reader import Dataset
from wbench.dataset.verdict import Verdict, relative_error

__all__ = ["compare_datasets"]


def compare_datasets(reference: Dataset, found: Dataset, advance: Callable[[int], None] | None = None) -> Verdict:
    """Say whether two complete datasets are the same, and by how much they differ.

    Parameters
    ----------
    reference : Dataset
        What it should be; differences are relative to it.
    found : Dataset
        What is held against it. It may have another spec (a new version of the generator, say): the numbers count.
    advance : callable, optional
        Called with the number of samples after each piece, for a progress bar.

    Raises
    ------
    DatasetError
        If shards are missing.
    """
    if reference.content_digest == found.content_digest and reference.array_names == found.array_names:
        return Verdict("identical", len(reference), ())
    sides = [
        {n: (str(d.array(n).dtype), (len(d), *d.array(n).shape[1:])) for n in d.array_names} for d in (reference, found)
    ]
    if sides[0] != sides[1]:
        return Verdict.of_layouts(*sides)
    errors = {name: np.zeros(len(reference)) for name in reference.array_names}
    small = [name for name in errors if not _is_large(reference, name)]
    for name in small:  # real numbers are relative to the rms over all samples
        values = [np.asarray(dataset.array(name)[:]) for dataset in (reference, found)]
        errors[name][:] = relative_error(*values, per_sample=False)
    step = reference.spec.shard_samples
    for start in range(0, len(reference), step):
        rows = slice(start, min(start + step, len(reference)))
        for name in errors.keys() - set(small):
            values = [np.asarray(dataset.array(name)[rows]) for dataset in (reference, found)]
            errors[name][rows] = relative_error(*values, per_sample=True)
        if advance is not None:
            advance(rows.stop - rows.start)
    return Verdict.of_errors(errors)


def _is_large(dataset: Dataset, name: str) -> bool:
    """Whether a fingerprint would project it: channels and everything that has a size of its own in each sample."""
    array = dataset.array(name)
    return array.dtype.kind == "c" or int(np.prod(array.shape[1:])) > KEPT
