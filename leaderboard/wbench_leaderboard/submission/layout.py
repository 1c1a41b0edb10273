"""Where everything of a submission lies: its place follows from its content, and nothing else may lie there.

::

    submissions/status.toml                                  kept by the maintainers
    submissions/<org>__<model>/<revision>/submission.json    the list of files with their digests
                                          README.md          the model card
                                          results/<task>-v<version>/<size>/<run>/result.json
                                                                                 columns.npz
                                                                                 predictions.npy
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from wbench.result import Result

__all__ = [
    "CARD",
    "COLUMNS",
    "MANIFEST",
    "PREDICTIONS",
    "RESULT",
    "STATUS",
    "address_fault",
    "folder_of",
    "model_fault",
    "model_of",
    "path_fault",
    "result_folder",
    "revision_fault",
]

MANIFEST: Final = "submission.json"
CARD: Final = "README.md"
STATUS: Final = "status.toml"
RESULT: Final = "result.json"
COLUMNS: Final = "columns.npz"
PREDICTIONS: Final = "predictions.npy"

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9.+-]|_(?!_)){0,62}(?<![._])"
_NAME = re.compile(rf"{_WORD}/{_WORD}")
_REVISION = re.compile(_WORD)
_PATH = re.compile(
    rf"{CARD}|results/{_WORD}-v[0-9]{{1,6}}/(?:tiny|standard|large)/{_WORD}/(?:{RESULT}|{COLUMNS}|{PREDICTIONS})"
)
# Names of devices on some systems: a clone there would fail for everybody.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(10))})
# What makes an address name one content for ever: a commit or digest, or a record number of an archive.
_PINNED = (re.compile(r"(?:^|[/@:])[0-9a-f]{40}(?:[0-9a-f]{24})?(?:/|$)"), re.compile(r"/records?/[0-9]+(?:/|$)"))


def model_fault(name: str) -> str | None:
    """What is wrong with a model's name for the board, None if nothing: it must be ``organisation/model``."""
    if not _NAME.fullmatch(name):
        return "a model's name is organisation/model of letters, digits and . + - _ in ASCII, 63 each at most"
    return next(filter(None, map(_device, name.split("/"))), None)


def revision_fault(revision: str) -> str | None:
    """What is wrong with a revision, None if nothing."""
    if not _REVISION.fullmatch(revision):
        return "a revision is letters, digits and . + - _ in ASCII, 63 at most, and not empty"
    return _device(revision)


def _device(name: str) -> str | None:
    return f"{name!r} is the name of a device" if name.lower().partition(".")[0] in _DEVICES else None


def folder_of(model: str, revision: str) -> str:
    """``<org>__<model>/<revision>``."""
    return f"{model.replace('/', '__')}/{revision}"


def model_of(folder: str) -> str | None:
    """The model of an ``<org>__<model>`` folder, None if it is not one."""
    organisation, separator, model = folder.partition("__")
    name = f"{organisation}/{model}"
    return name if separator and model_fault(name) is None else None


def path_fault(path: str) -> str | None:
    """Why a path inside a revision's folder is not one of a submission, None if it is."""
    if _PATH.fullmatch(path):
        return next(filter(None, map(_device, PurePosixPath(path).parts)), None)
    return (
        f"not a file of a submission: there are {MANIFEST}, {CARD} and results/<task>-v<version>/<size>/<run>/{RESULT}"
    )


def result_folder(result: Result) -> str:
    """``results/<task>-v<version>/<size>/<run>``: one place for each cell of the board."""
    part = f"b{result.budget_percent:g}" if result.shots is None else f"k{result.shots}"
    how = result.regime + (f"-last{result.layers}" if result.layers is not None else "")
    season = f"-season{result.task.season}" if result.task.season else ""
    run = f"{how}-{result.head or 'self'}-{part}-d{result.draw}-s{result.seed}{season}"
    return f"results/{result.task.name}-v{result.task.version}/{result.task.size}/{run}"


def address_fault(address: str) -> str | None:
    """Why an address cannot stand for files that never change, None if it can.

    It must be plain https and name a commit or digest (40 or 64 hexadecimal digits) or a numbered record.
    """
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "not an address"
    if len(address) > 500 or not re.fullmatch(r"[A-Za-z0-9:/._~@%+-]+", address):
        return "an address has at most 500 plain ASCII characters, without query and fragment"
    if parts.scheme != "https" or not host or "." not in host or parts.username is not None or port is not None:
        return "an address begins with https:// and a host, without user and port"
    if ".." in parts.path or "%" in parts.path or not any(pattern.search(parts.path) for pattern in _PINNED):
        return "its content could change: name a commit or digest in full, or a numbered record (…/records/123)"
    return None
