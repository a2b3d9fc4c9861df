"""A stand-in for GitHub's API on the loopback: the comments of one pull request, and who may write them."""

import json
import re
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from background import serving

REPOSITORY = "owner/repository"
NUMBER = "7"
TOKEN = "github-token-3fa8"  # not one: what the stand-in takes for one


class GitHubServer(ThreadingHTTPServer):
    """Holds ``comments``; ``log`` has what was asked: method and path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def write(self, body: str, kind: str) -> dict[str, Any]:
        """Add a comment of a user of this kind, Bot or User."""
        number = len(self.comments) + 1
        comment = {"id": number, "body": body, "user": {"type": kind}, "html_url": f"{self.url}/comment-{number}"}
        self.comments.append(comment)
        return comment


def serve() -> AbstractContextManager[GitHubServer]:
    """Answer requests in the background for as long as the context lasts."""
    return serving(GitHubServer())


class _Handler(BaseHTTPRequestHandler):
    server: GitHubServer

    def do_GET(self) -> None:
        """Answer: a page of comments, a comment written or edited, or what is wrong."""
        self.server.log.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)).get("body", "") if length else ""
        one = re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/(\d+)", url.path)
        too_long = len(body) > 65_536
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(403, {"message": "Resource not accessible by integration"})
        elif too_long:
            self._answer(422, {"message": "Body is too long (maximum is 65536 characters)"})
        elif self.command == "PATCH" and one:
            comment = self.server.comments[int(one[1]) - 1]
            comment["body"] = body
            self._answer(200, comment)
        elif url.path != f"/repos/{REPOSITORY}/issues/{NUMBER}/comments":
            self._answer(404, {"message": "Not Found"})
        elif self.command == "POST":
            self._answer(201, self.server.write(body, "Bot"))
        else:
            query = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
            first = query["per_page"] * (query["page"] - 1)
            self._answer(200, self.server.comments[first : first + query["per_page"]])

    do_POST = do_PATCH = do_GET  # noqa: N815

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Print nothing: ``log`` holds the requests."""
