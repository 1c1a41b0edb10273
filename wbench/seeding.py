"""Random numbers: named, keyed streams. No global random state anywhere.

Two kinds of stream serve two needs:

* :func:`seed_sequence` / :func:`rng` — a NumPy generator for a *purpose* and an integer key (a block, a site, a draw);
* :class:`KeyedStream` — one counter-based stream per *sample id*, so that the noise of a sample is the same whatever
  batch it is served in (Philox, Salmon et al., SC 2011: the counter is the sample id).

The root seed of a published dataset stands in its recipe. That of a hidden one comes from a :class:`SeasonSeed`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from wbench.errors import SpecError

__all__ = ["KeyedStream", "SeasonSeed", "keyed_permutation", "rng", "seed_sequence"]


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


class SeasonSeed:
    """The secret of a season: 256 bits that give every recipe a hidden dataset (split rule S6).

    Only its :attr:`name` and the root seeds that it gives leave this object: it neither prints nor pickles itself.

    Parameters
    ----------
    key : bytes
        32 bytes.

    Notes
    -----
    Name and root seeds are HMAC-SHA256 (RFC 2104) under the seed, of texts that differ in their first word. Who knows
    the names, and the root seeds of some datasets, learns nothing of the seed or of the root seed of another dataset.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise SpecError(f"A season seed has 32 bytes, not {len(key)}.")
        self._key = key

    @classmethod
    def read(cls, path: str | Path) -> SeasonSeed:
        """Read it from a file of 64 hexadecimal digits.

        Raises
        ------
        SpecError
            If the file cannot be read or holds something else; the message repeats nothing of it.
        """
        make = "python3 -c 'import secrets; print(secrets.token_hex(32))' > season.seed; chmod 600 season.seed"
        if re.fullmatch(r"[0-9a-fA-F]{64}", Path(path).name):  # never said again: it would be in a log
            raise SpecError("Name the file of the season seed, not the seed itself.", next_step=make)
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text of hexadecimal digits"
            raise SpecError("The season seed cannot be read.", where=str(path), why=why, next_step=make) from None
        if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
            why = f"{len(text)} characters instead of 64 hexadecimal digits"
            raise SpecError("The file holds no season seed.", where=str(path), why=why, next_step=make)
        return cls(bytes.fromhex(text))

    @property
    def name(self) -> str:
        """Public name of the season: 12 hexadecimal digits of a keyed digest."""
        return self._digest("name", "").hex()[:12]

    def root(self, spec_digest: str) -> int:
        """Root seed of the hidden dataset of a recipe and size: 256 bits.

        Parameters
        ----------
        spec_digest : str
            Spec digest of the published dataset.
        """
        return int.from_bytes(self._digest("root", spec_digest), "big")

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()

    def __repr__(self) -> str:
        return f"SeasonSeed({self.name})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A season seed is not handed to other processes; they need its datasets' root seeds only.")
