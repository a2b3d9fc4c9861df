"""A stand-in for the Hugging Face hub on the loopback: what its API answers for a few repositories held in memory."""

import base64
import hashlib
import json
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from background import Handler, Server, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_plantedsecrettoken"  # not one: what the stand-in takes for one
OWNERS = {"tiny", "locked", "private", "gated", "cut", "dair-ai", "sentence-transformers", "distilbert"}
COMMITS = {  # by owner, where a recipe names another
    "dair-ai": "cab853a1dbdf4c42c2b3ef2173804746df8825fe",
    "sentence-transformers": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    "distilbert": "12040accade4e8a0f71eabdb258fecc2e7e948be",
}

Kind = Literal["models", "datasets"]
Files = dict[str, bytes]


class HubServer(Server):
    """Serves ``repositories``, each under the name of every owner, of which four can fail in the way they say.

    ``tiny/NAME`` is whole, as are those of the recipes' owners, and ``locked/NAME`` for whoever has `TOKEN`; of
    ``private/NAME`` all is denied, of ``gated/NAME`` the files, and ``cut/NAME`` breaks off in the middle of its large
    files. Every other repository is missing.

    It takes models from anyone, large files by LFS; ``created`` holds what was asked for of each new repository,
    ``messages`` those of the commits, and ``authorizations`` the header of each POST: a PUT, of a large file, comes
    without, as the hub's library sends it.
    """

    def __init__(self, repositories: dict[tuple[Kind, str], Files]) -> None:
        super().__init__(_Handler)
        self.repositories = repositories
        self.created: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self.authorizations: list[str | None] = []
        self.stored: Files = {}  # by LFS, under their sha256


def serve(repositories: dict[tuple[Kind, str], Files]) -> AbstractContextManager[HubServer]:
    """Answer requests in the background for as long as the context lasts."""
    return serving(HubServer(repositories))


class _Handler(Handler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802
        """Answer a request: a file, a listing of files, or what is wrong with the question."""
        url = urlsplit(self.path)
        api, kind, owner, name, action, revision, path = _parts(unquote(url.path))
        files = self.server.repositories.get((kind, name)) if owner in OWNERS else None
        denied = owner == "private" or (owner == "locked" and self.headers["Authorization"] != f"Bearer {TOKEN}")
        if files is None:
            self._error(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
        elif denied:  # the hub gives no code with this one
            self._error(HTTPStatus.UNAUTHORIZED, None, "Invalid username or password.")
        elif owner == "gated" and not api:
            known = "Authorization" in self.headers
            self._error(HTTPStatus.FORBIDDEN if known else HTTPStatus.UNAUTHORIZED, "GatedRepo", "Access is restricted")
        elif revision not in {_commit(owner), "main"}:
            self._error(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif action == "revision":
            self._answer_json({"id": f"{owner}/{name}", "sha": _commit(owner), "siblings": []})
        elif action == "tree":
            self._answer_json(_tree(files, path, recursive=parse_qs(url.query).get("recursive") == ["true"]))
        elif action == "resolve" and path in files:
            large = path.endswith((".parquet", ".safetensors"))
            self.answer(files[path], "application/octet-stream", cut=owner == "cut" and large)
        else:
            self._error(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:  # noqa: N802
        """Take a step of an upload: create the repository, say how each file is to come, commit what has come."""
        self.server.authorizations.append(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _, kind, owner, name, action, *_ = _parts(self.path)
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self._answer_json({"errors": [], "warnings": []})
        elif action == "preupload":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._answer_json({"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                one | {"actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self._answer_json({"transfer": "basic", "objects": objects})
        elif action == "commit":
            for line in map(json.loads, body.splitlines()):
                self._commit(self.server.repositories[kind, name], line["key"], line["value"])
            url = f"{self.server.url}/{owner}/{name}/commit/{COMMIT}"
            self._answer_json({"success": True, "commitOid": COMMIT, "commitUrl": url})
        else:
            self._error(HTTPStatus.NOT_FOUND, None, "Not found")

    def _commit(self, repository: Files, kind: str, value: dict[str, str]) -> None:
        """Do what a line of a commit says."""
        if kind == "header":
            self.server.messages.append(value["summary"])
        elif kind == "file":
            repository[value["path"]] = base64.b64decode(value["content"])
        elif kind == "lfsFile":
            repository[value["path"]] = self.server.stored[value["oid"]]
        elif kind == "deletedFile":
            del repository[value["path"]]

    def do_PUT(self) -> None:  # noqa: N802
        """Take a large file."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.stored[hashlib.sha256(content).hexdigest()] = content
        self.answer(b"", "text/plain")

    def _create(self, asked: dict[str, Any]) -> None:
        url = f"{self.server.url}/{asked['organization']}/{asked['name']}"
        if asked["organization"] == "private":
            self._error(HTTPStatus.FORBIDDEN, None, "You don't have the rights to create a model there")
        elif ("models", asked["name"]) in self.server.repositories:
            body = json.dumps({"error": "You already created this model repo", "url": url}).encode()
            self.answer(body, "application/json", HTTPStatus.CONFLICT)
        else:
            self.server.created.append(asked)
            self.server.repositories["models", asked["name"]] = {}
            self._answer_json({"url": url})

    def _error(self, status: HTTPStatus, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.answer(json.dumps({"error": message}).encode(), "application/json", status, headers)

    def _answer_json(self, content: Any) -> None:
        self.answer(json.dumps(content).encode(), "application/json")

    def every_time(self, content: bytes) -> dict[str, str]:
        """The hash of the content, and the commit that it is of."""
        return {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": _commit(_parts(self.path)[2])}


def _parts(path: str) -> tuple[bool, Kind, str, str, str, str, str]:
    """Split ``[/api/models|/api/datasets|/datasets]/owner/name/action/revision/path``."""
    parts = path.strip("/").split("/")
    api = parts[0] == "api"
    parts = parts[1:] if api else parts
    kind: Kind = "datasets" if parts[0] == "datasets" else "models"
    parts = parts[1:] if parts[0] in {"models", "datasets"} else parts
    owner, name, action, revision, *rest = [*parts, "", "", "", ""]
    return api, kind, owner, name, action, revision, "/".join(rest).strip("/")


def _commit(owner: str) -> str:
    return COMMITS.get(owner, COMMIT)


def _tree(files: Files, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """The files and folders in ``folder``, and with ``recursive`` those further down."""
    entries: dict[str, dict[str, Any]] = {}
    for path, content in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            entries[parent] = {"type": "directory", "path": parent, "oid": _oid(parent.encode()), "size": 0}
        entries[path] = {"type": "file", "path": path, "oid": _oid(content), "size": len(content)}
    prefix = f"{folder}/" if folder else ""
    return [
        entry
        for path, entry in entries.items()
        if path.startswith(prefix) and (recursive or "/" not in path.removeprefix(prefix))
    ]


def _oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:40]
