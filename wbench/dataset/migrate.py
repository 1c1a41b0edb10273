"""Reading datasets of earlier schema versions: each version has one function to the next.

A migration changes group attributes on reading, never the files: bits, spec and digests stay what they were. The spec
keeps the schema version that it was written with, because its digest is of the spec as it was asked for. A field that a
later version adds to the spec is left out of the digest at its default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wbench.dataset.schema import SCHEMA_VERSION
from wbench.errors import DatasetError

__all__ = ["MIGRATIONS", "Migration", "migrate"]

Attributes = dict[str, Any]
Migration = Callable[[Attributes], Attributes]

#: By schema version, the function that makes attributes of the next one. Version 1 is the first, so there is none yet;
#: datasets written by it are kept in ``tests/data`` and have to be read for ever.
MIGRATIONS: Final[dict[int, Migration]] = {}


def migrate(attributes: Attributes, where: str) -> Attributes:
    """Attributes as the current schema version has them.

    Parameters
    ----------
    attributes : dict
        Group attributes as they are stored; left as they are.
    where : str
        The dataset, for messages.

    Raises
    ------
    DatasetError
        If the version is newer than this wbench, older than any migration, or not a version.
    """
    version = attributes.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        why = f"its schema version is {version!r}"
        raise DatasetError("The folder is not a wbench dataset.", where=where, why=why)
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"The dataset has schema version {version}, this wbench reads up to {SCHEMA_VERSION}.",
            where=where,
            next_step="pip install --upgrade wbench",
        )
    migrated = dict(attributes)
    for old in range(version, SCHEMA_VERSION):
        if old not in MIGRATIONS:
            why = f"nothing is known of version {old}; this wbench reads {min(MIGRATIONS, default=SCHEMA_VERSION)} on"
            raise DatasetError(f"The dataset has schema version {version}.", where=where, why=why)
        try:
            migrated = {**MIGRATIONS[old](dict(migrated)), "schema_version": old + 1}
        except (KeyError, TypeError, ValueError) as error:
            why = f"its attributes are not those of schema version {old} ({error!r})"
            raise DatasetError("The dataset's attributes are damaged.", where=where, why=why) from error
    return migrated
