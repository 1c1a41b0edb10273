"""Dataset card: what a dataset is, for people (Markdown) and for machines (MLCommons Croissant JSON-LD).

Both are made from the dataset's own attributes and arrays and nothing else: the same dataset gives the same text.
Source: MLCommons, "Croissant Format Specification 1.1".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wbench.dataset.reader import Dataset
from wbench.dataset.summary import storage_rows
from wbench.errors import OutputConflictError

__all__ = ["CROISSANT_CONTEXT", "croissant", "markdown_card", "write_card"]

_TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet format "
    "includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)
#: The context that the specification prescribes.
CROISSANT_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS.split(" ")},
}
_TYPES = {"b": "sc:Boolean", "c": "Float", "f": "Float", "i": "Int", "u": "UInt"}


def _name(dataset: Dataset) -> str:
    return f"{dataset.spec.recipe}-{dataset.spec.size}"


def _summary(dataset: Dataset) -> str:
    spec, attributes = dataset.spec, dataset.attributes
    if "source" in attributes:
        source = attributes["source"]
        return (
            f"{spec.samples:,} samples ingested from {source['file']} (variable {source['variable']}, "
            f"{source['kind']} format). What the file does not say is unknown."
        )
    model = attributes.get("channel_model")
    made = f"made by {spec.generator} version {spec.generator_version}" + (f" ({model})" if model else "")
    return f"{spec.samples:,} wireless channels {made}, seed {spec.seed}."


def _arrays(dataset: Dataset) -> list[tuple[str, Any, tuple[str, ...]]]:
    found = [(name, dataset.array(name)) for name in dataset.array_names]
    return [(name, array, tuple(array.metadata.dimension_names or ())) for name, array in found]


# --- Markdown ------------------------------------------------------------------------------------------------------


def markdown_card(dataset: Dataset) -> str:
    """Dataset card in Markdown.

    Parameters
    ----------
    dataset : Dataset
        A complete dataset.

    Raises
    ------
    DatasetError
        If shards are missing.
    """
    dataset.require_complete()
    sections = [
        f"# {_name(dataset)}\n\n{_summary(dataset)}",
        _table([("", ""), *_identity(dataset)]),
        "## Arrays\n\nThe first dimension of every array is `sample`.\n\n" + _table(_array_rows(dataset)),
        *_radio(dataset),
        *_labels(dataset),
        *_unknown(dataset),
        "## Definitions\n\n" + _table([("attribute", "value"), *_definitions(dataset)]),
        "## Parameters\n\n" + _json(dataset.spec.params),
        "## Where it comes from\n\n" + _json(_provenance(dataset)),
        "## Use\n\n" + _use(dataset),
    ]
    return "\n\n".join(sections) + "\n"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _json(value: Any) -> str:
    return "```json\n" + json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n```"


def _identity(dataset: Dataset) -> list[tuple[str, str]]:
    spec = dataset.spec
    return [
        ("recipe", f"`{spec.recipe}`, version {spec.recipe_version}, size `{spec.size}`"),
        ("samples", f"{spec.samples:,} in {spec.shards:,} shards"),
        *storage_rows(dataset),
        ("licence", str(dataset.attributes.get("licence", "unknown"))),
        ("schema version", str(dataset.attributes.get("schema_version", "unknown"))),
        ("spec digest (what was asked for)", f"`{spec.digest}`"),
        ("content digest (these bits)", f"`{dataset.content_digest}`"),
    ]


def _array_rows(dataset: Dataset) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("array", "dimensions", "shape", "dtype", "unit", "meaning")]
    for name, array, dims in _arrays(dataset):
        meaning = str(array.attrs.get("long_name", ""))
        if "missing" in array.attrs:
            meaning += f"; {array.attrs['missing']}"
        shape = " × ".join(map(str, array.shape))
        rows.append((f"`{name}`", ", ".join(dims), shape, str(array.dtype), str(array.attrs.get("units", "")), meaning))
    return rows


def _radio(dataset: Dataset) -> list[str]:
    radio = dataset.attributes.get("radio") or {}
    if not radio:
        return []
    rows: list[tuple[str, str]] = [("", "")]
    for end in ("tx", "rx"):
        a = radio[end]
        panel = f"{a['rows']} rows × {a['cols']} columns, spacing {a['dv']:g} λ × {a['dh']:g} λ"
        rows.append((end, f"{panel}, {len(a['slants'])} polarisation(s), {a['pattern']}"))
    for name, band in radio["bands"].items():
        rows.append((f"`{name}`", f"{band['subcarriers']} subcarriers, {band['spacing_hz'] / 1e3:g} kHz apart"))
    if radio["time_steps"] > 1:
        rows.append(("time", f"{radio['time_steps']} snapshots, {radio['time_step_s'] * 1e3:g} ms apart"))
    return ["## Arrays of antennas and grids\n\n" + _table(rows)]


def _labels(dataset: Dataset) -> list[str]:
    if "los" not in dataset.array_names:
        return []
    values, counts = np.unique(np.asarray(dataset.array("los")[:]), return_counts=True)
    names = {1: "LoS", 0: "NLoS", -1: "no path (channel is 0)", -128: "unknown"}
    rows = [("links", "samples", "share")]
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        rows.append((names.get(value, str(value)), f"{count:,}", f"{100 * count / len(dataset):.1f} %"))
    return ["## Line of sight\n\n" + _table(rows)]


def _unknown(dataset: Dataset) -> list[str]:
    unknown = dataset.attributes.get("unknown")
    if not unknown:
        return []
    return ["## Unknown\n\nThe source does not say: " + ", ".join(f"`{name}`" for name in unknown) + "."]


def _definitions(dataset: Dataset) -> list[tuple[str, str]]:
    shown = {
        "spec",
        "spec_digest",
        "radio",
        "provenance",
        "licence",
        "schema_version",
        "simulator",
        "unknown",
        "source",
    }
    rest = sorted(set(dataset.attributes) - shown)
    texts = {key: dataset.attributes[key] for key in rest}
    return [(key, v if isinstance(v, str) else json.dumps(v, sort_keys=True)) for key, v in texts.items()]


def _provenance(dataset: Dataset) -> dict[str, Any]:
    # Not the command: it may hold paths of somebody's machine, and a card is made to be published.
    record = {key: value for key, value in dataset.attributes.get("provenance", {}).items() if key != "command"}
    found = {"simulator": dataset.attributes.get("simulator", {}), **record}
    return found | ({"source": dataset.attributes["source"]} if "source" in dataset.attributes else {})


def _use(dataset: Dataset) -> str:
    folder, spec = dataset.place.name, dataset.spec
    if "source" in dataset.attributes:
        again = f"wbench ingest {dataset.attributes['source']['kind']} FILE --out {folder}"
    else:
        storage = "" if spec.storage == "lossless" else f" --storage {spec.storage}"
        again = f"wbench generate {spec.recipe} --size {spec.size} {spec.seed_option}{storage} --out {folder}"
    shell = f"```sh\n{again}   # the same data again\nwbench verify {folder}\n```"
    python = f'```python\nimport xarray\n\ndata = xarray.open_zarr("{folder}")\n```'
    return f"{shell}\n\n{python}"


# --- Croissant -----------------------------------------------------------------------------------------------------


def croissant(
    dataset: Dataset, *, url: str | None = None, published: str | None = None, creator: str | None = None
) -> dict[str, Any]:
    """Croissant 1.1 metadata, to lie as ``croissant.json`` in the dataset's folder.

    Parameters
    ----------
    dataset : Dataset
        A complete dataset.
    url, published, creator : str, optional
        Where it is published, when (``YYYY-MM-DD``) and by whom: nothing in the dataset says so.

    Returns
    -------
    dict
        JSON-LD. Complex arrays are described as float arrays with a last dimension (real, imaginary), since Croissant
        has no complex type.

    Raises
    ------
    DatasetError
        If shards are missing.
    """
    dataset.require_complete()
    spec = dataset.spec
    given = {"url": url, "datePublished": published, "creator": {"@type": "sc:Organization", "name": creator}}
    if creator is None:
        given.pop("creator")
    return {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": _name(dataset),
        "description": _summary(dataset),
        "version": f"{spec.recipe_version}.{spec.generator_version}.0",
        "license": _licence(str(dataset.attributes.get("licence", "unknown"))),
        "citeAs": f"{_name(dataset)}, wbench dataset, spec {spec.digest}, content {dataset.content_digest}",
        **{key: value for key, value in given.items() if value is not None},
        "keywords": ["wireless", "channel", "CSI", "MIMO"],
        "distribution": [_metadata_file(dataset), _array_files(dataset)],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "description": f"One record for each of the {spec.samples:,} links",
                "field": [_field(name, array, dims) for name, array, dims in _arrays(dataset)],
            }
        ],
    }


def _licence(text: str) -> str:
    # An SPDX identifier has no spaces; Croissant asks for its address.
    return text if " " in text or "/" in text or text == "unknown" else f"https://spdx.org/licenses/{text}.html"


def _metadata_file(dataset: Dataset) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "zarr.json",
        "name": "zarr.json",
        "description": "Zarr v3 group: all metadata, with the whole specification as attributes",
        "contentUrl": "zarr.json",
        "encodingFormat": "application/json",
        "sha256": hashlib.sha256(dataset.place.read("zarr.json")).hexdigest(),
    }


def _array_files(dataset: Dataset) -> dict[str, Any]:
    # One set for all arrays: Croissant would ask for joins between several, and rows of a Zarr group need none.
    return {
        "@type": "cr:FileSet",
        "@id": "zarr-arrays",
        "name": "zarr-arrays",
        "description": "Zarr v3 arrays: metadata and chunks, a folder each; open the group, not the files",
        "encodingFormat": "application/vnd+zarr",
        "includes": [f"{name}/**" for name in dataset.array_names],
    }


def _field(name: str, array: Any, dims: tuple[str, ...]) -> dict[str, Any]:
    dtype = np.dtype(array.dtype)
    shape, names = list(array.shape[1:]), list(dims[1:])
    if dtype.kind == "c":
        shape, names = [*shape, 2], [*names, "(real, imaginary)"]
    bits = dtype.itemsize * 8 // (2 if dtype.kind == "c" else 1)
    kind = _TYPES[dtype.kind]
    unit = array.attrs.get("units", "1")
    parts = [str(array.attrs.get("long_name", name)), f"unit {unit}", f"stored as {dtype.name}"]
    parts += [f"dimensions {', '.join(names)}"] if names else []
    parts += [f"missing: {array.attrs['missing']}"] if "missing" in array.attrs else []
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"samples/{name}",
        "name": name,
        "description": "; ".join(parts),
        "dataType": kind if ":" in kind else f"cr:{kind}{bits}",
        "source": {"fileSet": {"@id": "zarr-arrays"}, "extract": {"column": name}},
    }
    return field | ({"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {})


def write_card(text: str, out: Path) -> None:
    """Write a card; the same text again is fine, another file is left untouched.

    Raises
    ------
    OutputConflictError
        If the file holds something else.
    """
    if out.exists() and (not out.is_file() or out.read_bytes() != text.encode()):
        raise OutputConflictError(
            "The output exists and holds something else. It was left untouched.",
            where=str(out),
            next_step="choose another file with --out, or move that one away",
        )
    temporary = out.with_name(f".{out.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(out)
