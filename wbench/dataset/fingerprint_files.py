"""Fingerprints as files, and those that ship with the installed providers."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from wbench import registry
from wbench.dataset.fingerprint import PROJECTIONS, ArrayPrint, Fingerprint, lossless
from wbench.dataset.spec import DatasetSpec
from wbench.errors import DatasetError

__all__ = ["read_fingerprint", "shipped_fingerprint", "write_fingerprint"]

FORMAT: Final = 1


def write_fingerprint(fingerprint: Fingerprint, path: Path) -> None:
    """Write a fingerprint as JSON; arrays are little-endian in base64."""
    arrays = {
        name: {
            "kind": item.kind,
            "dtype": item.dtype,
            "shape": list(item.shape),
            "data": base64.b64encode(item.data.astype(item.data.dtype.newbyteorder("<")).tobytes()).decode("ascii"),
        }
        for name, item in fingerprint.arrays.items()
    }
    head = {"format": FORMAT, "spec": fingerprint.spec, "content": fingerprint.content, "about": fingerprint.about}
    text = json.dumps({**head, "samples": fingerprint.samples, "arrays": arrays}, separators=(",", ":"))
    # A line for each array: a reader finds the words between the numbers, and a diff names the arrays that changed.
    text = text.replace('},"', '},\n"').replace('"arrays":{', '"arrays":{\n') + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has a newer format.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']}, this wbench reads {FORMAT}")
        samples = tuple(map(int, record["samples"]))
        arrays = {name: _array_print(item, len(samples)) for name, item in record["arrays"].items()}
        return Fingerprint(record["spec"], record["content"], samples, arrays, record["about"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DatasetError("The fingerprint cannot be read.", where=str(path), why=why) from error


def _array_print(item: dict[str, Any], samples: int) -> ArrayPrint:
    if item["kind"] not in ("exact", "values", "projected"):
        raise ValueError(f"unknown kind {item['kind']!r}")
    dtype = np.dtype(item["dtype"] if item["kind"] == "exact" else np.float32)
    data = np.frombuffer(base64.b64decode(item["data"], validate=True), dtype.newbyteorder("<")).astype(dtype)
    shape = tuple(map(int, item["shape"]))
    numbers = math.prod(shape)
    if item["kind"] == "projected":
        numbers = 1 + PROJECTIONS * (2 if item["dtype"].startswith("complex") else 1)
    return ArrayPrint(item["kind"], item["dtype"], shape, data.reshape(samples, numbers))


def shipped_fingerprint(spec: DatasetSpec) -> Fingerprint | None:
    """The fingerprint that an installed provider has for this spec (of any storage), or None.

    Raises
    ------
    DatasetError
        If a provider's file for this recipe and size cannot be read.
    """
    entries, digest = registry.registry().entries["fingerprint"], lossless(spec).digest
    for name, entry in entries.items():
        # Files are RECIPE-SIZE.json, older versions with something behind that; what counts is the digest inside.
        if entry.path is not None and name.startswith(f"{spec.recipe}-{spec.size}"):
            found = read_fingerprint(entry.path)
            if found.spec == digest:
                return found
    return None
