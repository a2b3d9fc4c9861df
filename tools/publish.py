"""Publish the classifier on the Hugging Face hub, with a model card of its results.

Run: python -m tools.publish [OWNER/NAME]    (without a name, it prints the card)

The repository is created, private, if there is none. HF_TOKEN holds a token that may write to it. All files go in one
commit, which deletes the repository's other .json and .safetensors files at its top: Transformers would read them, too.
Nothing is published unless tools.verify finds all results to belong together and git has them committed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages import entry, errors, hashing, paths
from tools.commands import check_committed, commit

NAME = "OWNER/NAME"
LOADED = {".json", ".safetensors"}  # what Transformers may read at the top of a repository


def verified_commit() -> str:
    """The commit that has the results at hand.

    Raises:
        InputError: they do not belong together, are not committed, or are about to be replaced.
    """
    from tools import pipeline, verify

    if problems := verify.verify(cache=False):
        raise errors.InputError(*problems)
    check_committed("the model card names the commit", *pipeline.inputs())
    return commit()


def publish(repository: str, content: str, message: str) -> str:
    """Upload the classifier and its card in one commit; return the commit's URL.

    Raises:
        InputError: the hub does not take it, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    folder = Path(paths.CLASSIFIER)
    added = [CommitOperationAdd("README.md", content.encode())]
    for path in sorted(hashing.files_in(folder)):  # those that tools.verify has hashed
        # small ones are read at once: the hub's library would do so only when the weights have gone
        file = path if path.suffix == ".safetensors" else path.read_bytes()
        added.append(CommitOperationAdd(path.relative_to(folder).as_posix(), file))
    names = {file.path_in_repo for file in added}
    with _explained(repository):
        api = HfApi()
        api.create_repo(repository, private=True, exist_ok=True)
        others = {name for name in api.list_repo_files(repository) if "/" not in name} - names
        deleted = [CommitOperationDelete(name) for name in sorted(others) if Path(name).suffix in LOADED]
        return str(api.create_commit(repository, [*added, *deleted], commit_message=message).commit_url)


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn the hub library's errors into one line, without a token."""
    import httpx2
    from huggingface_hub import constants, is_offline_mode
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise errors.InputError(f"{repository}: {errors.reason(error)}: choose another name") from None
    except (httpx2.HTTPError, HfHubHTTPError, ImportError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) and error.filename:
            raise  # the disk's, not the hub's: entry.run explains it
        host = httpx2.URL(constants.ENDPOINT).host
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        if status in {401, 403, 404} or isinstance(error, PermissionError):
            said = "no access: set HF_TOKEN to a token that may write to it"
        elif status is not None:
            said = f"{host} answered with status {status}: run again"
        elif isinstance(error, json.JSONDecodeError):
            said = f"{host} answered with something else than JSON: run again"
        elif isinstance(error, ValueError):  # the card's metadata, which it looks at before the upload
            said = f"{host} does not take the card ({errors.reason(error)}): correct the names in params.yaml"
        elif is_offline_mode():
            said = "HF_HUB_OFFLINE is set: unset it and run again"
        elif isinstance(error, httpx2.HTTPError | ConnectionError):
            said = f"{host} cannot be reached: check the network and run again"
        else:
            said = f"{errors.reason(error)}: check the network's proxy and certificates and run again"
        raise errors.InputError(f"{repository}: {said}") from None


def main() -> None:
    """Publish, or print the card."""
    parser = entry.parser("tools.publish", __doc__)
    parser.add_argument("repository", nargs="?", help="OWNER/NAME on the hub; without it, the card is printed")
    repository = parser.parse_args().repository
    if repository is not None and repository.count("/") != 1:
        raise errors.InputError(f"{repository!r}: name a repository of the hub as {NAME}")

    from tools import card

    trained_at = verified_commit()
    content = card.model_card(repository or NAME, trained_at)
    if repository:
        print(f"published: {publish(repository, content, f'Trained at {trained_at}')}")
    else:
        print(content)


if __name__ == "__main__":
    entry.run(main, offline=False)
