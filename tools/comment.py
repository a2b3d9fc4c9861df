"""Post a file as the only comment of a pull request: the first run writes it, later runs edit it.

Run: python -m tools.comment report/report.md

It needs these environment variables: GITHUB_API_URL and GITHUB_REPOSITORY, which every job on GitHub has, PULL_REQUEST,
the number of the pull request, and GITHUB_TOKEN, a token that may write pull requests.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from stages import entry, errors

MARKER = "<!-- retune report -->"  # the first line of the comment, not shown by GitHub
PAGE = 100  # comments per request, the most that GitHub allows
LONGEST = 65_000  # characters; GitHub refuses a comment of more than 65,536


def post(body: str, repository: str, number: str) -> str:
    """Write or edit the comment and return its URL."""
    issue = f"/repos/{repository}/issues/{number}/comments"
    # a person may quote the marker; only what a bot wrote is ours to edit
    ours = [
        one
        for one in _comments(issue)
        if one["body"].startswith(MARKER) and one["user"] is not None and one["user"]["type"] == "Bot"
    ]
    if len(body) > LONGEST:
        body = f"**Cut short**: the artifact `report` has all of this.\n\n{body[:LONGEST]}"
    content = {"body": f"{MARKER}\n{body}"}
    if ours:
        return str(_ask("PATCH", f"/repos/{repository}/issues/comments/{ours[0]['id']}", content)["html_url"])
    return str(_ask("POST", issue, content)["html_url"])


def _comments(issue: str) -> Iterator[dict[str, Any]]:
    page, found = 1, PAGE
    while found == PAGE:
        comments = _ask("GET", f"{issue}?per_page={PAGE}&page={page}")
        yield from comments
        page, found = page + 1, len(comments)


def _ask(method: str, path: str, content: dict[str, str] | None = None) -> Any:
    url = _environment("GITHUB_API_URL") + path
    token = _environment("GITHUB_TOKEN").strip()
    if not re.fullmatch("[!-~]+", token):  # the library's error would quote it
        raise errors.InputError("GITHUB_TOKEN: it has characters that no token has: copy it again")
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    try:
        answer = httpx2.request(method, url, headers=headers, json=content, timeout=60)
        answer.raise_for_status()
        return answer.json()
    except httpx2.HTTPStatusError as error:
        code = error.response.status_code
        advice = "give the job `pull-requests: write`" if code in {401, 403, 404} else "run the job again"
        raise errors.InputError(f"{method} {path}: GitHub answered {code}: {advice}") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise errors.InputError(
            f"{method} {path}: {errors.reason(error)}: set GITHUB_API_URL to an address such as https://api.github.com"
        ) from None
    # no way to it (a proxy, certificates), no answer, half of one, or one that is not JSON
    except (httpx2.HTTPError, ImportError, OSError, ValueError) as error:
        raise errors.InputError(
            f"{method} {path}: GitHub cannot be reached ({errors.reason(error)}): run the job again"
        ) from None


def _environment(name: str) -> str:
    if not os.environ.get(name):
        raise errors.InputError(f"{name} is not set: tools.comment needs this environment variable")
    return os.environ[name]


def main() -> None:
    """Post the file."""
    parser = entry.parser("tools.comment", __doc__)
    parser.add_argument("file", type=Path, help="the comment, in Markdown")
    body = parser.parse_args().file.read_text(encoding="utf-8", errors="replace")
    print(post(body, _environment("GITHUB_REPOSITORY"), _environment("PULL_REQUEST")))


if __name__ == "__main__":
    entry.run(main)
