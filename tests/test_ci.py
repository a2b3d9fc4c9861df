"""Pull requests, played whole: the jobs of experiment.yml by their own commands, on machines that have nothing.

A bare repository stands in for GitHub's, a server on the loopback for its API, clones with an empty home for the
runners; the DVC remote is a real S3 server, and once a real sshd. The pipeline is the real one, on texts that the tiny
random checkpoint can learn.
"""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import github_server
import pytest
import remotes
from conftest import DEFAULTS, PIPELINE_PARAMS, TREE, git, make_clone, run, set_params
from github_server import NUMBER, REPOSITORY, TOKEN, GitHubServer
from runners import Result, Runners, read_workflow

WORKFLOW = read_workflow(TREE / ".github/workflows/experiment.yml")
PARAMS = PIPELINE_PARAMS | {"train__epochs": 6}
LABELS = DEFAULTS["dataset"]["labels"]

pytestmark = pytest.mark.long


@dataclass
class Project:
    """A repository with its first run on main, and a DVC remote that holds it."""

    origin: Path  # bare
    clone: Path  # a developer's
    github: GitHubServer
    secrets: dict[str, str]
    environments: dict[str, dict[str, str]]  # of the machines, by job
    variables: dict[str, str] = field(default_factory=dict)
    pull_requests: int = 0

    def change(self, branch: str, doing: Callable[[Path], object]) -> None:
        """Push a branch with a change."""
        git("checkout", "--quiet", "-B", branch, "main", cwd=self.clone)
        doing(self.clone)
        git("commit", "--quiet", "--all", "--message", branch, cwd=self.clone)
        git("push", "--quiet", "origin", branch, cwd=self.clone)

    def runners(self, branch: str, **variables: str) -> Runners:
        """New machines for the jobs of the branch's pull request."""
        self.pull_requests += 1
        pull_request = {"number": NUMBER, "head": {"repo": {"full_name": REPOSITORY}}}
        github = {
            "repository": REPOSITORY,
            "head_ref": branch,
            "base_ref": "main",
            "token": TOKEN,
            "event": {"pull_request": pull_request},
        }
        context = {"github": github, "secrets": self.secrets, "vars": self.variables | variables}
        environment = {"GITHUB_API_URL": self.github.url, "GITHUB_REPOSITORY": REPOSITORY}
        folder = self.origin.parent / f"pull-request-{self.pull_requests}"
        return Runners(WORKFLOW, self.origin, folder, context, environment, self.environments)


def write_learnable_texts(folder: Path) -> None:
    """Texts whose words tell the label by their letter, all different."""
    folder.mkdir(parents=True)
    for start, split in enumerate(("train", "validation", "test")):
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("text", "label"))
            for number, label in ((number, label) for number in range(20) for label in LABELS):
                letter = chr(ord("a") + LABELS.index(label))
                table.writerow((f"{letter * (number % 5 + 1)} {letter * (number // 5 + 1)} {'xyz'[start]}", label))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, tiny_random_checkpoint: Path) -> Path:
    """A clone whose results are committed on main."""
    clone = make_clone(tmp_path_factory.mktemp("first") / "clone")
    git("checkout", "--quiet", "-B", "main", cwd=clone)
    write_learnable_texts(clone / "data/learnable")
    shutil.copytree(tiny_random_checkpoint, clone / "models/tiny")
    set_params(clone, **PARAMS | {"dataset__path": "data/learnable"})
    run("dvc", "repro", cwd=clone, env={"HOME": str(clone.parent)})
    git("add", "--all", cwd=clone)
    git("commit", "--quiet", "--message", "the first run", cwd=clone)
    return clone


def pushed(first_run: Path, folder: Path, address: str, environment: dict[str, str]) -> tuple[Path, Path]:
    """A bare repository and a developer's clone of it, with a DVC remote that holds main's results."""
    clone = shutil.copytree(first_run, folder / "clone", symlinks=True)
    run("dvc", "remote", "add", "--default", "store", address, cwd=clone)
    git("commit", "--quiet", "--all", "--message", "a remote", cwd=clone)
    run("dvc", "push", "--run-cache", cwd=clone, env=environment)
    git("clone", "--quiet", "--bare", str(clone), str(folder / "origin.git"), cwd=folder)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=folder / "origin.git")  # as GitHub has it
    git("remote", "set-url", "origin", str(folder / "origin.git"), cwd=clone)
    return folder / "origin.git", clone


@pytest.fixture(scope="module")
def project(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with an S3 remote."""
    folder = tmp_path_factory.mktemp("project")
    with github_server.serve() as github, remotes.s3(folder / "s3") as (write, read):
        keys = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), remotes.S3_WRITE, strict=True))
        origin, clone = pushed(first_run, folder, "s3://bucket/retune", keys | {"AWS_ENDPOINT_URL": write})
        secrets = {
            f"AWS_{what}_{name}": value
            for what, pair in (("WRITE", remotes.S3_WRITE), ("READ", remotes.S3_READ))
            for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), pair, strict=True)
        }
        machines = {"run": {"AWS_ENDPOINT_URL": write}, "report": {"AWS_ENDPOINT_URL": read}}
        yield Project(origin, clone, github, secrets, machines)


def epochs(number: int) -> Callable[[Path], object]:
    return lambda clone: set_params(clone, **PARAMS | {"dataset__path": "data/learnable", "train__epochs": number})


def play(project: Project, branch: str, **variables: str) -> dict[str, Result]:
    return project.runners(branch, **variables).play()


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Result]:
    """The first pull request: another number of epochs."""
    project.change("epochs", epochs(5))
    return play(project, "epochs")


def test_a_pull_request_that_changes_a_train_param_trains_and_evaluates_only(first: dict[str, Result]) -> None:
    for name, one in first.items():
        print(name, one.conclusion, one.outputs, one.log)
    assert [one.conclusion for one in first.values()] == ["success"] * 3
    assert json.loads((first["run"].folder / "work/report/run.json").read_text())["stages"] == {
        "download": "unchanged",
        "tokenize": "unchanged",
        "train": "ran",
        "evaluate": "ran",
    }
