"""An S3 server that can be told to misbehave: requests pass through to a real one, or are answered badly."""

from __future__ import annotations

import http.server
import random
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError

CODES = {500: "InternalError", 503: "SlowDown", 403: "AccessDenied", 400: "ExpiredToken"}
WRITES = ("PUT", "POST", "DELETE")


class FaultyS3(http.server.ThreadingHTTPServer):
    """Stands in front of `upstream`. Every fault is off until it is set."""

    daemon_threads = True

    def __init__(self, address: str, upstream: str) -> None:
        super().__init__((address, 0), _Handler)
        self.upstream = upstream
        self.share = 0.0  # of the requests that fail
        self.kinds = [500, 503, 0]  # by which of these at random; 0 is a reset connection
        self.latency = 0.0  # seconds before each answer
        self.silent = threading.Event()  # no request is answered while this is set
        self.read_only = False  # whatever writes is answered with 403
        self.expired = False  # whatever comes is answered as one whose credentials have expired
        self.dice = random.Random(0)
        self.count: Counter[str] = Counter()
        self.clients: list[subprocess.Popen[str]] = []  # of the test, which are ended with it

    @property
    def url(self) -> str:
        """What `AWS_ENDPOINT_URL` is set to."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def healthy(self) -> None:
        """Every fault is off again."""
        self.share, self.latency, self.read_only, self.expired = 0.0, 0.0, False, False
        self.silent.clear()
        self.count.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has given up is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FaultyS3
    protocol_version = "HTTP/1.1"  # answers `Expect: 100-continue`

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        server.count["requests"] += 1
        while server.silent.is_set():
            time.sleep(0.1)
        time.sleep(server.latency)
        if server.expired or (server.read_only and self.command in WRITES):
            server.count["refused"] += 1
            return self._refuse(400 if server.expired else 403)
        if server.dice.random() < server.share:
            server.count["failed"] += 1
            kind = server.dice.choice(server.kinds)
            return self._refuse(kind) if kind else self._reset()
        return self._pass_on(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

    def _pass_on(self, body: bytes) -> None:
        headers = {key: value for key, value in self.headers.items() if key.lower() != "expect"}
        request = urllib.request.Request(self.server.upstream + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, answer.read(), dict(answer.headers))
        except HTTPError as error:
            self._answer(error.code, error.read(), dict(error.headers))

    def _refuse(self, status: int) -> None:
        word = CODES[status]
        self._answer(status, f"<Error><Code>{word}</Code><Message>{word}</Message></Error>".encode(), {})

    def _reset(self) -> None:
        """End the connection as a crashed server does: the client sees `connection reset by peer`."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(key, value)
        length = headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def in_front_of(upstream: str, address: str) -> Iterator[FaultyS3]:
    """A faulty server at `address` in front of the server `upstream`, while the body runs."""
    with FaultyS3(address, upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.silent.clear()
        server.shutdown()
