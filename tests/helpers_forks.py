"""Commands in forks of one warm process: a hundred runs that are killed do not cost a hundred starts of Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers_data import ROOT, environment

#: What the warm process imports before it forks. Nothing of this starts a thread: a fork would lose it.
IMPORTS = (
    "wbench.cli.main",
    "wbench.cli.generate",
    "wbench.cli.inspect",
    "wbench.run.generate",
    "wbench.run.fingerprint",
    "wbench.dataset.verify",
    "wbench_generators.plane_wave",
    "scipy.special",
    "threadpoolctl",
    "zarr",
)


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int  # negative: the signal
    out: str
    err: str
    seconds: float


class Forks:
    """Runs ``wbench`` commands, each in a process of its own; use as a context manager."""

    def __init__(self, folder: Path, imports: tuple[str, ...] = IMPORTS, prefix: tuple[str, ...] = ()) -> None:
        """``prefix``: a command that runs the warm process, such as ``unshare``."""
        self._out, self._err = folder / "stdout.log", folder / "stderr.log"
        code = f"from tests.helpers_forks import serve; serve({[*imports]!r})"
        self._server = subprocess.Popen(
            [*prefix, sys.executable, "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
        )

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(self, *arguments: object, kill_after_s: float | None = None, file_limit: int | None = None) -> Run:
        """Run a command; end it with SIGKILL after a while, or let no file grow beyond a limit in bytes."""
        request = {
            "argv": [str(argument) for argument in arguments],
            "kill_after_s": kill_after_s,
            "file_limit": file_limit,
            "out": str(self._out),
            "err": str(self._err),
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        out, err = self._out.read_text(), self._err.read_text()
        assert "Traceback" not in err, err
        return Run(answer["code"], out, err, answer["seconds"])

    def shell(self, command: str) -> None:
        """Run a shell command where the warm process is (its own mounts, say)."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps({"shell": command}) + "\n")
        self._server.stdin.flush()
        assert json.loads(self._server.stdout.readline())["code"] == 0, command


def serve(imports: list[str]) -> None:
    """The warm process: fork a child for every line of standard input, answer with its exit code."""
    for name in imports:
        __import__(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        begin = time.monotonic()
        if "shell" in request:
            code = subprocess.run(request["shell"], shell=True, stdout=subprocess.DEVNULL, check=False).returncode
        else:
            pid = os.fork()
            if pid == 0:
                _child(request)
            code = _wait(pid, request["kill_after_s"])
        answers.write(json.dumps({"code": code, "seconds": time.monotonic() - begin}) + "\n")
        answers.flush()


def _child(request: dict) -> None:
    code = 70
    try:
        os.setsid()
        for number, name in ((1, "out"), (2, "err")):
            target = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(target, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if request["file_limit"] is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
        from wbench.cli.main import main

        try:
            main(request["argv"])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(pid: int, kill_after_s: float | None) -> int:
    """Exit code of a child; it is not reaped before it is killed, so the number cannot be somebody else's."""
    end = None if kill_after_s is None else time.monotonic() + kill_after_s
    while end is not None and time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(min(0.0005, max(0.0, end - time.monotonic())))
    if end is not None:
        os.kill(pid, 9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
