"""Weights of networks in files: read without running anything that is in them, fill in strictly, save, digest.

Two formats are read: safetensors, and the archive that ``torch.save(module.state_dict(), …)`` writes. A pickle can run
any code when it is opened, so of such an archive only the plain parts are allowed, twice: its opcodes are looked at
first, and PyTorch's own restricted reader (``weights_only=True``) opens it then. A pickled module is always refused.
"""

from __future__ import annotations

import hashlib
import json
import pickletools
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wbench.digest import value_digest
from wbench.errors import MissingError, ModelError, near_names
from wbench.saving import replacing

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["fill_weights", "read_weights", "rename_weights", "save_weights", "weights_digest"]

#: Where a training checkpoint keeps the weights, besides optimiser and counters.
NESTED = ("state_dict", "model_state_dict", "model")
#: Differences of each sort that an error lists.
LISTED = 5
#: What the pickle of a state dict names: containers, storages, and the two ways to rebuild a tensor.
_PLAIN = {
    "collections OrderedDict",
    "torch Size",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
    "torch.nn.parameter Parameter",
}
_CONVERT = (
    "convert it once, in a container without network that you throw away (opening it can run any code), to safetensors:"
    " python -c \"import torch; from safetensors.torch import save_file; m = torch.load('{name}', weights_only=False);"
    " s = m.state_dict() if hasattr(m, 'state_dict') else m;"
    " save_file({{k: v.clone().contiguous() for k, v in s.items() if torch.is_tensor(v)}}, '{stem}.safetensors')\""
)


#: Bytes of a bare pickle that are looked at for what it names.
_LOOKED_AT = 1 << 24
#: Modules and functions that have no place in a network's pickle: they start programs, open files, run text.
_HOSTILE = {
    *("os", "posix", "nt", "subprocess", "pty", "sys", "shutil", "socket", "runpy", "importlib", "ctypes"),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("eval", "exec", "compile", "open")),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("__import__", "input")),
}


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a file, on the CPU; nothing in the file is run.

    The format is told by the first bytes, not by the name. A training checkpoint that keeps the weights under
    ``state_dict``, ``model_state_dict`` or ``model`` gives those. Names are as stored: a prefix such as ``module.`` is
    removed by :func:`rename_weights`, where a model declares it.

    Raises
    ------
    MissingError
        There is no such file.
    ModelError
        It is damaged, holds something else than weights (a pickled module, code), would grow when unpacked, or holds
        NaN or infinity.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError("There is no file of weights.", where=str(path))
    with path.open("rb") as stream:
        head = stream.read(9)
    if head[:4] == b"PK\x03\x04":
        state = _read_archive(path)
    elif head[8:] == b"{":
        state = _read_safetensors(path)
    else:
        raise _refused(path, head)
    if not state:
        raise ModelError("There are no weights in the file.", where=str(path))
    bad = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    if bad:
        raise ModelError("Weights are NaN or infinite.", where=str(path), why=_some(bad))
    return state


def _refused(path: Path, head: bytes) -> ModelError:
    """Why a file of neither format is not read."""
    if head[:1] == b"\x80":
        with path.open("rb") as stream:
            strange = _named_by(stream.read(_LOOKED_AT))
        why = "opening a pickle can run any code that is in it" + (f"; it names {_some(strange)}" if strange else "")
        step = _convert(path, strange)
        return ModelError("This is a pickle, which is not opened.", where=str(path), why=why, next_step=step)
    step = "give a .safetensors file, or what torch.save(module.state_dict(), …) wrote"
    why = f"it begins with {head[:8]!r}" if head else "it is empty"
    return ModelError("This is no file of weights, or a damaged one.", where=str(path), why=why, next_step=step)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _read_archive(path: Path) -> dict[str, Tensor]:
    """The state dict in an archive of ``torch.save``."""
    import torch

    _check_archive(path)
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken archive makes PyTorch raise
        raise _damaged(path, error) from error
    tables = [found, *(found.get(key) for key in NESTED)] if isinstance(found, Mapping) else []
    state = next((table for table in tables if _is_state(table)), None)
    if state is None:
        why = f"it holds {', '.join(map(str, list(found)[:LISTED]))}" if isinstance(found, Mapping) else ""
        step = f"save the dictionary of tensors alone, or under {' or '.join(NESTED)}"
        raise ModelError("There is no state dict in the file.", where=str(path), why=why, next_step=step)
    # A view with stride 0 has any size on a few stored bytes; whatever copies it would fill the memory.
    grown = [name for name, tensor in state.items() if tensor.nbytes > tensor.untyped_storage().nbytes()]
    if grown:
        why = f"more values than are stored: {_some(grown)}"
        raise ModelError("Tensors would grow when they are copied.", where=str(path), why=why)
    return {name: tensor.detach() for name, tensor in state.items()}


def _is_state(table: Any) -> bool:
    import torch

    return isinstance(table, Mapping) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in table.items()
    )


def _check_archive(path: Path) -> None:
    """Refuse what is more than tensors, before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # torch.save stores, it never packs; entries that overlap add up to more than the file as well.
            packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
            if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
                why = f"packed: {_some(packed)}" if packed else "its entries are larger than the file"
                raise ModelError("The archive would grow when it is unpacked.", where=str(path), why=why)
            pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
            if len(pickles) != 1 or Path(pickles[0].filename).name != "data.pkl":
                why = f"it holds {_some([entry.filename for entry in entries])}"
                raise ModelError("This archive is no state dict.", where=str(path), why=why, next_step=_convert(path))
            with archive.open(pickles[0]) as stream:
                pickled = stream.read()
            strange = sorted(set(_strange(pickled)))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, ModelError):
            raise
        raise _damaged(path, error) from error
    if strange:
        raise ModelError(
            "The file holds more than weights, and was not opened.",
            where=str(path),
            why=f"a whole module or code was pickled; it names {_some(strange)}",
            next_step=_convert(path, _named_by(pickled)),
        )


def _named_by(head: bytes) -> list[str]:
    """What a pickle names, as far as it can be read; it is refused whatever this finds."""
    names: list[str] = []
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name == "GLOBAL":
                names.append(str(argument).replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
            elif isinstance(argument, str):
                texts.append(argument)
            if opcode.name == "STOP":
                break
    except ValueError:  # no pickle, or a cut one
        pass
    return sorted(set(names))


def _strange(pickled: bytes) -> Iterator[str]:
    """What a pickle names beyond tensors; reads opcodes, builds nothing."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            name = str(argument)
            module, _, kind = name.partition(" ")
            storage = module in ("torch", "torch.storage") and kind.endswith("Storage")
            if not (storage or name in _PLAIN or (module == "torch" and kind in _DTYPES)):
                yield name.replace(" ", ".")
        elif opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):  # torch.save uses none of them
            yield opcode.name


_DTYPES = frozenset({"float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"})


def _damaged(path: Path, error: Exception) -> ModelError:
    why = str(error).strip().partition("\n")[0]
    step = "get the file again, and compare its size"
    return ModelError("The file of weights is damaged.", where=str(path), why=why, next_step=step)


def _convert(path: Path, names: Sequence[str] = ()) -> str:
    """How the file becomes safetensors; of one that names what no network needs, that it should not be opened."""
    if any(name.partition(".")[0] in _HOSTILE or name in _HOSTILE for name in names):
        return "do not open it at all; get the weights from their authors as .safetensors"
    return _CONVERT.format(name=path.name, stem=path.stem)


def _some(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def rename_weights(state: Mapping[str, Tensor], prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """State with prefixes of names replaced, the first that fits: ``{"module.": ""}`` undoes DistributedDataParallel.

    Raises
    ------
    ModelError
        Two weights would get the same name.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        new = prefixes.get(prefix, "") + name.removeprefix(prefix)
        if new in renamed:
            raise ModelError("Two weights would get the same name.", where=new, why=f"one of them is {name}")
        renamed[new] = tensor
    return renamed


def fill_weights(module: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Copy weights into a module: every name and shape must fit. Floating-point types are converted.

    Works for a module on the meta device as well, which then gets its storage.

    Parameters
    ----------
    module : nn.Module
        Parameters and persistent buffers are filled.
    state : mapping of str to Tensor
        As :func:`read_weights` gives it.
    where : str
        The file, for the error.

    Raises
    ------
    ModelError
        Names or shapes differ; the first differences of each sort are listed. The module is as before.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state]
    strange = [name for name in state if name not in wanted]
    shapes = [
        f"{name} is {_form(state[name])}, the model has {_form(tensor)}"
        for name, tensor in wanted.items()
        if name in state and not _fits(tensor, state[name])
    ]
    if missing or strange or shapes:
        parts = {"missing": [_near(name, strange) for name in missing], "not in the model": strange, "shape": shapes}
        why = "; ".join(f"{sort} ({len(names)}): {_some(names)}" for sort, names in parts.items() if names)
        step = _prefix_step(wanted, state) or "check that the file belongs to this model and this size of it"
        raise ModelError("The weights do not fit the model.", where=where, why=why, next_step=step)
    meta = any(tensor.is_meta for tensor in wanted.values())
    copies = {name: state[name].to(tensor.dtype, copy=True) for name, tensor in wanted.items()}
    module.load_state_dict(copies, strict=True, assign=meta)


def _fits(wanted: Tensor, given: Tensor) -> bool:
    return wanted.shape == given.shape and wanted.is_floating_point() == given.is_floating_point()


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _near(name: str, others: list[str]) -> str:
    near = near_names(name, others)[:1]
    return f"{name} (like {near[0]}?)" if near else name


def _prefix_step(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """The renaming that would help, if all names in the file have one more prefix."""
    prefix = next(iter(state), "").partition(".")[0] + "."
    if state and {name.removeprefix(prefix) for name in state} == set(wanted):
        return (
            f'all names in the file begin with {prefix}: prefixes = {{"{prefix}" = ""}} under [params] of model.toml, '
            f'in Python prefixes = {{"{prefix}": ""}} of an adapter or wbench.weights.rename_weights'
        )
    return ""


def save_weights(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write safetensors: a file of that name is either absent or whole. Tied tensors are written twice.

    Raises
    ------
    ModelError
        Weights are NaN or infinite.
    ResultError
        The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    bad = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    if bad:
        raise ModelError("Weights are NaN or infinite, and were not saved.", where=str(path), why=_some(bad))
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    with replacing(path, "The weights") as temporary:
        try:
            save_file(whole, temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(str(error)) from error
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    """Write the metadata of a header in one order: safetensors writes them in another one every time.

    The same weights are the same file then, and a revision that is a digest of the file stays what it was.
    """
    with path.open("r+b") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
        if "__metadata__" not in header:
            return
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > size:
            raise OSError(f"the header of {path} needs {len(text)} bytes and has {size}")
        stream.seek(8)
        stream.write(text.ljust(size))


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """``sha256:…`` of names, dtypes, shapes and little-endian bytes: the order and the file format do not change it."""
    import torch

    table: dict[str, list[Any]] = {}
    for name, tensor in state.items():
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        table[name] = [_form(tensor), hashlib.sha256(data.data).hexdigest()]
    return value_digest(table)
