"""An existing Dask cluster as executor: the same units, on machines that the user's scheduler hands out."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any

from wbench import __version__
from wbench.errors import MissingDependencyError, MissingError, UsageError, WBenchError

__all__ = ["dask_pool"]

CONNECT_S = 10.0
_log = logging.getLogger(__name__)


@contextmanager
def dask_pool(address: str) -> Iterator[Executor]:
    """Executor of a Dask cluster.

    Parameters
    ----------
    address : str
        The scheduler's, ``tcp://HOST:PORT``.

    Raises
    ------
    MissingDependencyError
        ``distributed`` is not installed here, or wbench is not on the workers.
    MissingError
        No scheduler answers.
    UsageError
        The address is none.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependencyError(
            "A Dask cluster needs the package distributed.", why=str(error), next_step="pip install 'wbench[dask]'"
        ) from error
    with _quiet():
        client = _connect(Client, address)
        try:
            _check_workers(client, address)
            yield _ClusterExecutor(client, address)
        finally:
            with suppress(Exception):  # of a scheduler that is gone
                client.close(timeout=2)


@contextmanager
def _quiet() -> Iterator[None]:
    """What is lost is said once, by us; distributed logs every broken connection with its traceback."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _connect(client: Callable[..., Any], address: str) -> Any:
    try:
        return client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise MissingError(
            "No Dask scheduler answers.",
            where=address,
            why=str(error),
            next_step="dask scheduler, then dask worker ADDRESS (docs/scaling.md)",
        ) from error
    except (ValueError, TypeError) as error:
        raise UsageError(
            "That is no address of a Dask scheduler.", where=address, why=str(error), next_step="--dask tcp://HOST:8786"
        ) from error


def _check_workers(client: Any, address: str) -> None:
    """Refuse workers without this wbench: every shard would fail there, or get other bits."""

    def installed() -> str:  # nested, so that it travels by value to where there is no wbench
        try:
            from importlib import import_module

            return str(import_module("wbench").__version__)
        except ImportError:
            return ""

    found = client.run(installed, on_error="return")
    if not found:
        _log.warning("The Dask cluster at %s has no workers yet; the shards wait for them.", address)
    for worker, version in sorted(found.items()):
        if isinstance(version, Exception):
            raise WBenchError("A Dask worker cannot be used.", where=worker, why=f"{type(version).__name__}: {version}")
        if version != __version__:
            raise MissingDependencyError(
                "A Dask worker has another wbench." if version else "A Dask worker has no wbench.",
                where=worker,
                why=f"it has {version}, here is {__version__}" if version else None,
                next_step=f"install wbench {__version__} in the workers' environment",
            )


class _ClusterExecutor(Executor):
    """Dask's own executor, which needs wbench on the workers only and says in our words that the scheduler is gone."""

    def __init__(self, client: Any, address: str) -> None:
        self._executor, self._address = client.get_executor(pure=False), address

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = pickle.dumps((fn, args, kwargs))

        def run(data: bytes) -> Any:  # nested, so that it travels by value: the scheduler looks into functions
            import pickle

            function, given, named = pickle.loads(data)
            return function(*given, **named)

        try:
            found: Future[Any] = self._executor.submit(run, call)
        except Exception as error:
            raise WBenchError(
                "The Dask scheduler was lost.",
                where=self._address,
                why=f"{type(error).__name__}: {error}",
                next_step="start it again; the same command carries on, what is finished is kept",
            ) from error
        return found
