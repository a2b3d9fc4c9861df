"""A stand-in for GitHub's API on the loopback: the comments of one pull request, and who may write them."""

import json
import re
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from background import Handler, Server, serving

REPOSITORY = "owner/repository"
NUMBER = "7"
TOKEN = "github-token-3fa8"  # not one: what the stand-in takes for one


class GitHubServer(Server):
    """Holds ``comments``."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.comments: list[dict[str, Any]] = []

    def write(self, body: str, kind: str) -> dict[str, Any]:
        """Add a comment of a user of this kind, Bot or User."""
        number = len(self.comments) + 1
        comment = {"id": number, "body": body, "user": {"type": kind}, "html_url": f"{self.url}/comment-{number}"}
        self.comments.append(comment)
        return comment


def serve() -> AbstractContextManager[GitHubServer]:
    """Answer requests in the background for as long as the context lasts."""
    return serving(GitHubServer())


class _Handler(Handler):
    server: GitHubServer

    def do_GET(self) -> None:  # noqa: N802
        """Answer: a page of comments, a comment written or edited, or what is wrong."""
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
        self.answer(json.dumps(content).encode(), "application/json", status)
