"""The description of a dataset: its metadata objects and coordinates, kept a second time with a digest.

No shard holds them, so no manifest entry vouches for them; without them whole shards cannot be decoded. The copy,
``.wbench/description.json``, tells damage from what was written and mends it.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from typing import Final

from wbench.dataset.objects import MANIFEST, ROOT_KEY, Place
from wbench.digest import value_digest
from wbench.errors import DatasetError

__all__ = ["DESCRIPTION", "description_problems", "mend_description", "pack", "renew_description"]

DESCRIPTION: Final = f"{MANIFEST}/description.json"

#: What a description is made of: the root, an array's metadata, a coordinate's only chunk. A copy that names anything
#: else is not one of ours, and mending from it could write anywhere.
_OBJECT = re.compile(r"(\w[\w.-]*/)?zarr\.json|\w[\w.-]*/c/0")


def pack(spec_digest: str, objects: Mapping[str, bytes]) -> bytes:
    """The copy of these objects."""
    packed = {key: base64.b64encode(zlib.compress(objects[key], 9)).decode() for key in sorted(objects)}
    body = {"spec": spec_digest, "objects": packed}
    return json.dumps({**body, "digest": value_digest(body)}, indent=1).encode()


def _unpack(place: Place) -> tuple[str, dict[str, bytes]] | None:
    """Spec digest and objects of a sound copy; None if it is missing or damaged."""
    try:
        copy = json.loads(place.read(DESCRIPTION))
        body = {"spec": copy["spec"], "objects": copy["objects"]}
        if copy["digest"] != value_digest(body) or not all(_OBJECT.fullmatch(key) for key in copy["objects"]):
            return None
        packed = {key: base64.b64decode(data, validate=True) for key, data in copy["objects"].items()}
        return copy["spec"], {key: zlib.decompress(data) for key, data in packed.items()}
    except DatasetError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return None


def description_problems(place: Place) -> dict[str, str]:
    """What is wrong with the description, by object; empty if all is as it was written.

    Where nothing is that could be a dataset, nothing is wrong with it either.
    """
    unpacked = _unpack(place)
    if unpacked is None and not place.exists(ROOT_KEY):
        return {}
    if unpacked is None:
        return {DESCRIPTION: "missing or damaged"}
    return _differences(place, unpacked[1])


def _differences(place: Place, objects: Mapping[str, bytes]) -> dict[str, str]:
    found = place.read_many(list(objects))
    problems = {}
    for key, data in objects.items():
        now = found.get(key)
        if now is None or isinstance(now, FileNotFoundError):
            problems[key] = "missing"
        elif isinstance(now, Exception):
            problems[key] = f"damaged ({type(now).__name__}: {now})"
        elif now != data:
            problems[key] = "damaged: it has other bytes than were written"
    return problems


def mend_description(place: Place, spec_digest: str | None = None) -> list[str]:
    """Write damaged and missing objects of the description again; returns their names.

    With a spec digest, only the description of that dataset is mended: another one is left as it is.
    """
    unpacked = _unpack(place)
    if unpacked is None or (spec_digest is not None and unpacked[0] != spec_digest):
        return []
    # The root comes last: where it stands, everything it names does.
    broken = sorted(_differences(place, unpacked[1]), key=lambda key: key == ROOT_KEY)
    for key in broken:
        place.write(key, unpacked[1][key])
    return broken


def renew_description(place: Place, spec_digest: str) -> bool:
    """Make the copy anew from what is there, if the copy itself is missing or damaged; whether it was.

    What is there is then taken on trust: the caller has read it as a dataset of this spec digest.
    """
    if _unpack(place) is not None:
        return False
    known = json.loads(place.read(ROOT_KEY))["consolidated_metadata"]["metadata"]
    keys = [ROOT_KEY, *(f"{name}/zarr.json" for name in known)]
    keys += [f"{name}/c/0" for name, array in known.items() if array.get("dimension_names") == [name]]
    objects = {key: data for key, data in place.read_many(keys).items() if isinstance(data, bytes)}
    place.write(DESCRIPTION, pack(spec_digest, objects))
    return True
