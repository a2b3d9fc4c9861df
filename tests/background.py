"""Servers on the loopback that answer while a test goes on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


class Server(ThreadingHTTPServer):
    """At ``url``; ``log`` holds what was asked: method and path."""

    daemon_threads = True

    def __init__(self, handler: "type[Handler]") -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.log: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers the requests to a `Server`."""

    server: Server

    def answer(
        self,
        content: bytes,
        kind: str,
        status: int = HTTPStatus.OK,
        headers: dict[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        """Send an answer, with ``cut`` half of it."""
        self.send_response(status)
        every = {"Content-Type": kind, "Content-Length": str(len(content))} | self.every_time(content)
        for name, value in (every | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection |= cut

    def every_time(self, content: bytes) -> dict[str, str]:  # noqa: ARG002
        """The headers that each answer has besides."""
        return {}

    def parse_request(self) -> bool:
        """Note what is asked."""
        if whole := super().parse_request():
            self.server.log.append(f"{self.command} {self.path}")
        return whole

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


Running = TypeVar("Running", bound=Server)


@contextmanager
def serving(server: Running) -> Iterator[Running]:
    """Answer requests in the background for as long as the context lasts."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def unanswered() -> Iterator[str]:
    """A host and port, taken but not listened on, so that nothing else answers there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"
