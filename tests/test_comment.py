"""`python -m tools.comment` writes a pull request's one comment and then edits it, on a stand-in for GitHub."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import github_server
import pytest
from clones import TREE, run
from github_server import GitHubServer

from tools.comment import MARKER


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with github_server.serve() as server:
        yield server


def comment(github: GitHubServer, folder: Path, text: str, **environment: str) -> CompletedProcess[str]:
    (folder / "report.md").write_text(text, encoding="utf-8")
    known = {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": github_server.REPOSITORY,
        "GITHUB_TOKEN": github_server.TOKEN,
        "PULL_REQUEST": github_server.NUMBER,
    }
    command = ("python", "-m", "tools.comment", str(folder / "report.md"))
    return run(*command, cwd=TREE, check=False, env=known | environment)


def test_the_comment_is_written_once_and_then_edited(github: GitHubServer, tmp_path: Path) -> None:
    for text in ("first", "second: ü"):
        assert comment(github, tmp_path, text).returncode == 0
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nsecond: ü"]


def test_the_comment_is_found_behind_many_others(github: GitHubServer, tmp_path: Path) -> None:
    for number in range(100):
        github.write(f"remark {number}", "User")
    github.write(f"{MARKER}\nfirst", "Bot")
    comment(github, tmp_path, "second")
    assert len(github.comments) == 101
    assert github.comments[-1]["body"].endswith("second")


def test_an_answer_that_is_not_githubs_is_an_error_in_one_line(tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>log in</html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with github_server.serve() as github, HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = comment(github, tmp_path, "report", GITHUB_API_URL=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.returncode == 1
    assert "GitHub cannot be reached (JSONDecodeError: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_persons_comment_with_the_marker_is_left_alone(github: GitHubServer, tmp_path: Path) -> None:
    github.write(f"{MARKER}\nmine", "User")
    comment(github, tmp_path, "report")
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nmine", f"{MARKER}\nreport"]


def test_a_token_that_may_not_write_is_an_error_in_one_line_without_the_token(
    github: GitHubServer, tmp_path: Path
) -> None:
    done = comment(github, tmp_path, "report", GITHUB_TOKEN="not-the-token")
    assert done.returncode == 1
    assert done.stderr.startswith("error: GET /repos/owner/repository/issues/7/comments?per_page=100&page=1: GitHub")
    assert done.stderr.endswith("answered 403: give the job `pull-requests: write`\n")
    assert "not-the-token" not in done.stderr


def test_a_repository_that_the_token_does_not_see_is_said_to_want_the_permission(
    github: GitHubServer, tmp_path: Path
) -> None:
    done = comment(github, tmp_path, "report", GITHUB_REPOSITORY="owner/another")
    assert done.stderr.endswith("GitHub answered 404: give the job `pull-requests: write`\n")


@pytest.mark.parametrize(("url", "said"), [("api.github.com", "missing an 'http://'"), ("http://[::1", "Invalid port")])
def test_an_address_that_is_none_is_an_error_in_one_line(
    github: GitHubServer, tmp_path: Path, url: str, said: str
) -> None:
    done = comment(github, tmp_path, "report", GITHUB_API_URL=url)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.endswith("set GITHUB_API_URL to an address such as https://api.github.com\n")
    assert done.stderr.count("\n") == 1


def test_a_missing_variable_is_named(github: GitHubServer, tmp_path: Path) -> None:
    done = comment(github, tmp_path, "report", PULL_REQUEST="")
    assert done.stderr == "error: PULL_REQUEST is not set: tools.comment needs this environment variable\n"


def test_a_comment_of_a_bot_that_quotes_the_marker_is_left_alone(github: GitHubServer, tmp_path: Path) -> None:
    github.write(f"> {MARKER}\nquoted", "Bot")
    comment(github, tmp_path, "report")
    assert [one["body"] for one in github.comments] == [f"> {MARKER}\nquoted", f"{MARKER}\nreport"]


def test_of_several_comments_the_first_is_edited(github: GitHubServer, tmp_path: Path) -> None:
    for text in ("first", "second"):
        github.write(f"{MARKER}\n{text}", "Bot")
    comment(github, tmp_path, "report")
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nreport", f"{MARKER}\nsecond"]
