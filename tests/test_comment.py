"""`python -m tools.comment` writes a pull request's one comment and then edits it, on a stand-in for GitHub."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import github_server
import pytest
from background import Handler, Server, serving
from clones import TREE, run
from conftest import Call, Refused
from github_server import GitHubServer

import tools.comment
from tools.comment import MARKER

Comment = Callable[..., None]
Written = Callable[..., str]


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with github_server.serve() as server:
        yield server


def variables(github: GitHubServer) -> dict[str, str]:
    return {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": github_server.REPOSITORY,
        "GITHUB_TOKEN": github_server.TOKEN,
        "PULL_REQUEST": github_server.NUMBER,
    }


@pytest.fixture
def written(github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Write a text to be posted, with some variables set to others, and give the file's name."""

    def write(text: str, **others: str) -> str:
        (tmp_path / "report.md").write_text(text, encoding="utf-8")
        for name, value in (variables(github) | others).items():
            monkeypatch.setenv(name, value)
        return str(tmp_path / "report.md")

    return write


@pytest.fixture
def comment(written: Written, call: Call) -> Comment:
    """Post a text in this process, which goes well."""

    def post(text: str, **others: str) -> None:
        code, _, said = call(tools.comment.main, TREE, written(text, **others))
        assert (code, said) == (0, "")

    return post


@pytest.fixture
def refused(written: Written, refused: Refused) -> Refused:
    """Post a text to an error, and give that."""
    return lambda text, **others: refused(tools.comment.main, TREE, written(text, **others))


def test_the_comment_is_written_once_and_then_edited(github: GitHubServer, tmp_path: Path) -> None:
    for text in ("first", "second: ü"):
        (tmp_path / "report.md").write_text(text, encoding="utf-8")
        run("python", "-m", "tools.comment", str(tmp_path / "report.md"), cwd=TREE, env=variables(github))
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nsecond: ü"]


def test_the_comment_is_found_behind_many_others(github: GitHubServer, comment: Comment) -> None:
    for number in range(100):
        github.write(f"remark {number}", "User")
    github.write(f"{MARKER}\nfirst", "Bot")
    comment("second")
    assert len(github.comments) == 101
    assert github.comments[-1]["body"].endswith("second")


def answering(*answer: Any) -> Server:
    """A server that answers whatever is asked like this."""

    class Answer(Handler):
        def do_GET(self) -> None:  # noqa: N802
            self.answer(*answer)

    return Server(Answer)


def test_an_answer_that_is_not_githubs_is_an_error_in_one_line(refused: Refused) -> None:
    with serving(answering(b"<html>log in</html>", "text/html")) as server:
        said = refused("report", GITHUB_API_URL=server.url)
    assert "GitHub cannot be reached (JSONDecodeError: " in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GITHUB_API_URL", "http://127.0.0.1:1", "ConnectError: "),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "ImportError: "),
        ("SSL_CERT_FILE", "/nowhere", "FileNotFoundError: "),
    ],
)
def test_settings_of_the_network_that_lead_nowhere_are_an_error_in_one_line(
    refused: Refused, name: str, value: str, said: str
) -> None:
    assert f"GitHub cannot be reached ({said}" in refused(
        "report", **{"GITHUB_API_URL": "https://127.0.0.1:1", name: value}
    )


def test_a_persons_comment_with_the_marker_is_left_alone(github: GitHubServer, comment: Comment) -> None:
    github.write(f"{MARKER}\nmine", "User")
    comment("report")
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nmine", f"{MARKER}\nreport"]


def test_a_comment_of_a_deleted_account_is_left_alone(github: GitHubServer, comment: Comment) -> None:
    github.write(f"{MARKER}\nmine", "User")["user"] = None
    comment("report")
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nmine", f"{MARKER}\nreport"]


def test_a_report_longer_than_github_takes_is_cut_and_says_so(github: GitHubServer, comment: Comment) -> None:
    comment("row\n" * 20_000)
    written = github.comments[0]["body"]
    assert written.startswith(f"{MARKER}\n**Cut short**: the artifact `report` has all of this.\n\nrow\n")
    assert written.endswith("row\n")


def test_the_line_that_marks_a_report_counts_into_its_length(github: GitHubServer, comment: Comment) -> None:
    comment("x" * 65_536)
    assert github.comments[0]["body"].startswith(f"{MARKER}\n**Cut short**: ")


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "give the job `pull-requests: write`"), (500, "run the job again")],
)
def test_an_answer_that_is_an_error_comes_with_what_may_help(refused: Refused, status: int, advice: str) -> None:
    with serving(answering(b"{}", "application/json", status)) as server:
        said = refused("report", GITHUB_API_URL=server.url)
    assert said.endswith(f"GitHub answered {status}: {advice}")


def test_a_token_that_may_not_write_is_an_error_in_one_line_without_the_token(refused: Refused) -> None:
    said = refused("report", GITHUB_TOKEN="not-the-token")
    assert said.startswith("GET /repos/owner/repository/issues/7/comments?per_page=100&page=1: GitHub")
    assert said.endswith("answered 403: give the job `pull-requests: write`")
    assert "not-the-token" not in said


def test_what_cannot_be_a_token_is_an_error_without_it(refused: Refused) -> None:
    said = refused("report", GITHUB_TOKEN=f"{github_server.TOKEN}\n{github_server.TOKEN}")
    assert said == "GITHUB_TOKEN: it has characters that no token has: copy it again"


def test_space_around_the_token_does_not_count(github: GitHubServer, comment: Comment) -> None:
    comment("report", GITHUB_TOKEN=f" {github_server.TOKEN}\n")
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nreport"]


def test_a_repository_that_the_token_does_not_see_is_said_to_want_the_permission(refused: Refused) -> None:
    said = refused("report", GITHUB_REPOSITORY="owner/another")
    assert said.endswith("GitHub answered 404: give the job `pull-requests: write`")


@pytest.mark.parametrize(("url", "why"), [("api.github.com", "missing an 'http://'"), ("http://[::1", "Invalid port")])
def test_an_address_that_is_none_is_an_error_in_one_line(refused: Refused, url: str, why: str) -> None:
    said = refused("report", GITHUB_API_URL=url)
    assert why in said
    assert said.endswith("set GITHUB_API_URL to an address such as https://api.github.com")


def test_bytes_of_a_report_that_are_not_utf8_are_posted_as_replaced(
    github: GitHubServer, written: Written, call: Call
) -> None:
    file = written("")
    Path(file).write_bytes(b"a label \xff")
    assert call(tools.comment.main, TREE, file)[0] == 0
    assert [one["body"] for one in github.comments] == [f"{MARKER}\na label \ufffd"]


def test_a_missing_variable_is_named(refused: Refused) -> None:
    said = refused("report", PULL_REQUEST="")
    assert said == "PULL_REQUEST is not set: tools.comment needs this environment variable"


def test_a_comment_of_a_bot_that_quotes_the_marker_is_left_alone(github: GitHubServer, comment: Comment) -> None:
    github.write(f"> {MARKER}\nquoted", "Bot")
    comment("report")
    assert [one["body"] for one in github.comments] == [f"> {MARKER}\nquoted", f"{MARKER}\nreport"]


def test_of_several_comments_the_first_is_edited(github: GitHubServer, comment: Comment) -> None:
    for text in ("first", "second"):
        github.write(f"{MARKER}\n{text}", "Bot")
    comment("report")
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nreport", f"{MARKER}\nsecond"]
