"""An S3-compatible server on loopback, and the environment in which s3fs finds it."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
#: No proxy, no profile and no metadata service of the machine that runs the tests; no long retries.
QUIET = {
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_MAX_ATTEMPTS": "1",
}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """Address of a running moto server with the bucket ``lab``."""
    server = pytest.importorskip("moto.server", reason="needs moto and flask")
    pytest.importorskip("s3fs", reason="needs wbench[s3]")
    import requests

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    address = "http://{}:{}".format(*running.get_host_and_port())
    requests.put(f"{address}/lab", timeout=20, proxies={"http": ""}).raise_for_status()
    yield address
    running.stop()


def point_to(monkeypatch: pytest.MonkeyPatch, address: str, **more: str) -> None:
    """Let s3fs talk to a server, as a user would: by environment variables."""
    import s3fs

    for name, value in {**QUIET, **CREDENTIALS, "AWS_ENDPOINT_URL": address, **more}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a bucket that exists."""
    import s3fs

    point_to(monkeypatch, s3_server)
    yield "s3://lab"
    s3fs.S3FileSystem.clear_instance_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # s3fs leaves the sessions of asynchronous instances open
        gc.collect()


@contextmanager
def refusing_server() -> Iterator[str]:
    """A server that says AccessDenied to everything."""

    class Refuse(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        body: ClassVar[bytes] = (
            b'<?xml version="1.0"?><Error><Code>InvalidAccessKeyId</Code>'
            b"<Message>The key does not exist.</Message></Error>"
        )

        def _refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(self.body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _refuse

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def dead_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
