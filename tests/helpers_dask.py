"""A Dask scheduler and workers as processes of their own, as on a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.helpers_data import environment

DEADLINE_S = 90.0


class Cluster:
    """Processes that end with it."""

    def __init__(self, folder: Path, *, scheduler_with_wbench: bool = True) -> None:
        self.folder, self._with_wbench = folder, scheduler_with_wbench
        self.file = folder / "scheduler.json"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cluster:
        self.start_scheduler(with_wbench=self._with_wbench)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None:
                with suppress(ProcessLookupError):
                    process.kill()
                process.wait()

    def _run(self, module: str, *arguments: str, with_wbench: bool) -> subprocess.Popen[bytes]:
        hide = "" if with_wbench else "import sys; sys.modules['wbench'] = None; "
        code = f"{hide}from distributed.cli.{module} import main; main()"
        with (self.folder / f"{module}-{time.monotonic_ns()}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                env=environment(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def start_scheduler(self, *, with_wbench: bool = True) -> None:
        self.file.unlink(missing_ok=True)
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file))
        self.scheduler = self._run("dask_scheduler", *options, with_wbench=with_wbench)
        self._wait(self.file.exists, "no scheduler")

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    def start_workers(self, count: int, *, with_wbench: bool = True, threads: int = 1) -> None:
        options = ("--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--memory-limit", "0")
        for _ in range(count):
            self.workers.append(
                self._run("dask_worker", "--scheduler-file", str(self.file), *options, with_wbench=with_wbench)
            )
        self._wait(lambda: self.connected() >= count, "no workers")

    def connected(self) -> int:
        from distributed import Client

        with Client(self.address, timeout=20, set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"])

    @staticmethod
    def _wait(condition, what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.05)
