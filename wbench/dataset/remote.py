"""A dataset in an object store, or anywhere else that fsspec reaches.

There are no locks: two writers of one shard write the same bits, each object by one atomic put. Credentials, endpoint
and the like come from ``storage_options``, from fsspec's own configuration (``FSSPEC_S3_ENDPOINT_URL``) and from the
environment variables of the storage's library (``AWS_ACCESS_KEY_ID``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

from wbench.dataset.objects import ROOT_KEY, Place
from wbench.errors import (
    DatasetError,
    MissingDependencyError,
    MissingError,
    OutputConflictError,
    UsageError,
    WBenchError,
)

__all__ = ["RemotePlace"]

#: Distributions behind the protocols that people use most.
_EXTRAS: Final = {"s3": "'wbench[s3]'", "s3a": "'wbench[s3]'", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs"}
_CREDENTIALS: Final = "check the credentials; for s3 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
_ENDPOINT: Final = "check the endpoint and the network; for s3 AWS_ENDPOINT_URL or FSSPEC_S3_ENDPOINT_URL"
#: Exceptions of transports, by name: their libraries are not imported here.
_UNREACHABLE: Final = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ReadTimeoutError",
    "ProxyConnectionError",
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ServerTimeoutError",
    "HTTPClientError",
    "FSTimeoutError",
}


class RemotePlace(Place):
    """Objects below a URL.

    Parameters
    ----------
    url : str
        ``PROTOCOL://…``, of any file system that fsspec knows.
    storage_options : mapping, optional
        Arguments of that file system. They are pickled for workers and shown nowhere.
    """

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        self._url = url.rstrip("/")
        self._options = dict(storage_options or {})
        _ = self._system  # an unknown protocol is named here rather than in a worker

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_options": self._options}  # connections do not travel

    @property
    def path(self) -> str:
        """The URL."""
        return self._url

    @cached_property
    def _system(self) -> tuple[Any, str]:
        import fsspec

        protocol = self._url.partition("://")[0].partition("::")[0]
        try:
            system, root = fsspec.core.url_to_fs(self._url, **self._options)
        except ImportError as error:
            package = _EXTRAS.get(protocol, f"the fsspec package of {protocol}://")
            raise MissingDependencyError(
                f"Storage {protocol}:// needs a package that is not installed.",
                where=self._url,
                why=str(error),
                next_step=f"pip install {package}",
            ) from error
        except (ValueError, TypeError) as error:
            raise UsageError("There is no such storage.", where=self._url, why=str(error)) from error
        return system, root.rstrip("/")

    def _at(self, key: str) -> str:
        return f"{self._system[1]}/{key}" if key else self._system[1]

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn what a storage raises into one clear error; "not there" stays :class:`FileNotFoundError`."""
        try:
            yield
        except (WBenchError, FileNotFoundError):
            raise
        except Exception as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> WBenchError:
        why = f"{type(error).__name__}: {error}"
        names = {kind.__name__ for kind in type(error).__mro__}
        if isinstance(error, PermissionError):
            return DatasetError("The storage refuses access.", where=self._url, why=why, next_step=_CREDENTIALS)
        if names & {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
            return MissingError("There are no credentials.", where=self._url, why=why, next_step=_CREDENTIALS)
        if isinstance(error, ConnectionError | TimeoutError) or names & _UNREACHABLE:
            return MissingError("The storage does not answer.", where=self._url, why=why, next_step=_ENDPOINT)
        return DatasetError("The storage cannot be used.", where=self._url, why=why)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self.clear_errors():
                yield
        except FileNotFoundError as error:
            raise MissingError(
                "There is no such bucket.", where=self._url, why=str(error), next_step="create it, or name another one"
            ) from error

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        """See :meth:`Place.read`."""
        with self.clear_errors():
            return bytes(self._system[0].cat_file(self._at(key), start=start, end=stop))

    def read_many(self, keys: Iterable[str]) -> dict[str, bytes | Exception]:
        """See :meth:`Place.read_many`."""
        paths = {self._at(key): key for key in keys}
        if not paths:
            return {}
        with self.clear_errors():
            found = self._system[0].cat(list(paths), on_error="return")
        if not isinstance(found, dict):  # of one path some file systems return the bytes alone
            found = {next(iter(paths)): found}
        out: dict[str, bytes | Exception] = {}
        for path, data in found.items():
            if isinstance(data, FileNotFoundError):
                continue
            if isinstance(data, Exception):
                raise self._explain(data) from data  # the network's fault, not the object's
            out[paths[path]] = bytes(data)
        return out

    def write(self, key: str, data: bytes) -> None:
        """See :meth:`Place.write`."""
        with self._writing():
            self._system[0].pipe_file(self._at(key), data)

    def write_many(self, objects: Mapping[str, bytes]) -> None:
        """See :meth:`Place.write_many`."""
        with self._writing():
            self._system[0].pipe({self._at(key): data for key, data in objects.items()})

    def create(self, objects: Mapping[str, bytes]) -> None:
        """See :meth:`Place.create`; what a killed creation left is taken over."""
        here = self.list()
        folders = {key.partition("/")[0] for key in objects if "/" in key}
        foreign = set(here) - folders
        for folder in sorted(set(here) & folders):
            foreign |= {f"{folder}/{name}" for name in self.list(folder) if self._unknown(f"{folder}/{name}", objects)}
        if foreign:
            raise OutputConflictError(
                "The output place holds something that is not a wbench dataset. It was left untouched.",
                where=self._url,
                why=f"there is {sorted(foreign)[0]}",
                next_step="choose another place with --out, or move that one away",
            )
        self.write_many({key: data for key, data in objects.items() if key != ROOT_KEY})
        self.write(ROOT_KEY, objects[ROOT_KEY])

    @staticmethod
    def _unknown(key: str, objects: Mapping[str, bytes]) -> bool:
        return not any(known == key or known.startswith(f"{key}/") for known in objects)

    def remove(self, keys: Iterable[str]) -> None:
        """See :meth:`Place.remove`."""
        with self.clear_errors():
            for key in keys:
                try:
                    self._system[0].rm_file(self._at(key))
                except FileNotFoundError:
                    continue

    def remove_folder(self, folder: str) -> None:
        """See :meth:`Place.remove_folder`."""
        if self.list(folder):
            with self.clear_errors():
                self._system[0].rm(self._at(folder), recursive=True)

    def list(self, folder: str = "") -> dict[str, int | None]:
        """See :meth:`Place.list`."""
        system, path = self._system[0], self._at(folder)
        with self.clear_errors():
            system.invalidate_cache()
            try:
                items = system.ls(path, detail=True)
            except FileNotFoundError:
                return {}
        found = {}
        for item in items:
            name = str(item["name"]).rstrip("/")
            if name.strip("/") != path.strip("/"):  # a marker of the folder itself
                found[name.rpartition("/")[2]] = None if item["type"] == "directory" else item["size"]
        return found

    def exists(self, key: str) -> bool:
        """See :meth:`Place.exists`."""
        with self.clear_errors():
            self._system[0].invalidate_cache()
            try:
                self._system[0].info(self._at(key))
            except FileNotFoundError:
                return False
        return True

    def found(self) -> bool:
        """See :meth:`Place.found`."""
        return bool(self.list())

    def store(self) -> Any:
        """See :meth:`Place.store`."""
        from wbench.dataset.remote_store import open_store

        return open_store(self._url, self._options, self.clear_errors)

    @contextmanager
    def claim(self, first: int, count: int) -> Iterator[bool]:
        """See :meth:`Place.claim`: always true."""
        yield True

    def clean(self) -> None:
        """See :meth:`Place.clean`: an object store keeps nothing half-written."""
