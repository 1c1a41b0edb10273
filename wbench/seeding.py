"""Random numbers: named, keyed streams. No global random state anywhere.

Two kinds of stream serve two needs:

* :func:`seed_sequence` / :func:`rng` — a NumPy generator for a *purpose* and an integer key (a block, a site, a draw);
* :class:`KeyedStream` — one counter-based stream per *sample id*, so that the noise of a sample is the same whatever
  batch it is served in (Philox, Salmon et al., SC 2011: the counter is the sample id).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["KeyedStream", "keyed_permutation", "rng", "seed_sequence"]


def seed_sequence(root: int, purpose: str, *key: int) -> np.random.SeedSequence:
    """Seed sequence of one purpose and key under a root seed.

    Parameters
    ----------
    root : int
        Root seed, 0 ≤ root.
    purpose : str
        What the numbers are for; two purposes never share a stream.
    *key : int
        Further key: block index, site, draw …
    """
    return np.random.SeedSequence(root, spawn_key=(zlib.crc32(purpose.encode()), *key))


def rng(root: int, purpose: str, *key: int) -> np.random.Generator:
    """NumPy generator (PCG64) of one purpose and key under a root seed."""
    return np.random.Generator(np.random.PCG64(seed_sequence(root, purpose, *key)))


def keyed_permutation(n: int, *key: str) -> npt.NDArray[np.int64]:
    """Permutation of ``range(n)`` that depends on the strings of the key only."""
    root = int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:16], "little")
    return rng(root, "permutation").permutation(n).astype(np.int64)


class KeyedStream:
    """Independent random numbers per sample id.

    Parameters
    ----------
    *key : str
        What the stream belongs to, usually a spec digest and a purpose.

    Notes
    -----
    The Philox key is a hash of ``key``, the high counter word is the sample id. A sample's numbers therefore depend
    on nothing else: not on the batch, its order or its size.
    """

    def __init__(self, *key: str) -> None:
        digest = hashlib.sha256("\0".join(key).encode()).digest()
        self._key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
        self._bits = np.random.Philox(key=self._key)
        self._generator = np.random.Generator(self._bits)

    def at(self, sample: int) -> np.random.Generator:
        """Generator positioned at the start of one sample's stream (valid until the next call)."""
        counter = np.array([0, 0, 0, sample], dtype=np.uint64)
        self._bits.state = {
            "bit_generator": "Philox",
            "state": {"counter": counter, "key": self._key},
            "buffer": np.zeros(4, dtype=np.uint64),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._generator

    def uniform(self, ids: Iterable[int]) -> npt.NDArray[np.float64]:
        """One number in [0, 1) per id: float64 [n]."""
        return np.array([self.at(int(i)).random() for i in ids], dtype=np.float64)

    def integers(self, ids: Iterable[int], high: int) -> npt.NDArray[np.int64]:
        """One integer in [0, high) per id: int64 [n]."""
        return np.array([self.at(int(i)).integers(high) for i in ids], dtype=np.int64)

    def complex_normal(self, ids: Iterable[int], shape: tuple[int, ...]) -> npt.NDArray[np.complex64]:
        """Circular complex Gaussian numbers of unit variance per id: complex64 [n, *shape]."""
        ids = list(ids)
        out = np.empty((len(ids), *shape, 2), dtype=np.float32)
        for row, sample in zip(out, ids, strict=True):
            self.at(int(sample)).standard_normal(dtype=np.float32, out=row)
        out *= np.float32(np.sqrt(0.5))
        return out.view(np.complex64)[..., 0]
