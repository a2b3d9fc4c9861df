"""Pull requests, played whole: the jobs of experiment.yml by their own commands, on machines that have nothing.

A bare repository stands in for GitHub's, a server on the loopback for its API, clones with an empty home for the
runners; the DVC remote is a real S3 server, and once a real sshd. The pipeline is the real one, on texts that the tiny
random checkpoint can learn.
"""

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
from clones import DEFAULTS, PIPELINE_PARAMS, TREE, commit, git, make_clone, run, set_params
from github_server import NUMBER, REPOSITORY, TOKEN, GitHubServer
from runners import Result, Runners, read_workflow
from stand_ins import write_csv

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
        commit(self.clone, branch)
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
        rows = [
            (f"{letter * (number % 5 + 1)} {letter * (number // 5 + 1)} {'xyz'[start]}", label)
            for number in range(20)
            for letter, label in zip("abcdef", LABELS, strict=True)
        ]
        write_csv(folder / f"{split}.csv", rows)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, tiny_random_checkpoint: Path) -> Path:
    """A clone whose results are committed on main."""
    clone = make_clone(tmp_path_factory.mktemp("first") / "clone")
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
    run("dvc", "remote", "modify", "store", "verify", "true", cwd=clone)
    commit(clone, "a remote")
    run("dvc", "push", "--run-cache", cwd=clone, env=environment)
    git("clone", "--quiet", "--bare", str(clone), str(folder / "origin.git"), cwd=folder)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=folder / "origin.git")  # as GitHub has it
    git("remote", "add", "origin", str(folder / "origin.git"), cwd=clone)
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


def epochs(number: int, **more: Any) -> Callable[[Path], object]:
    changes = PARAMS | {"dataset__path": "data/learnable", "train__epochs": number} | more
    return lambda clone: set_params(clone, **changes)


def play(project: Project, branch: str, **variables: str) -> dict[str, Result]:
    return project.runners(branch, **variables).play()


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Result]:
    """The first pull request: another number of epochs."""
    project.change("epochs", epochs(5))
    return play(project, "epochs")


@pytest.fixture(scope="module")
def again(project: Project, first: dict[str, Result]) -> dict[str, Result]:
    """The same pull request run again, on new machines; its GPU job too, which its gate would spare it."""
    succeeded(*first.values())
    runners = project.runners("epochs")
    gate = runners.play_job("gate", {})
    run = runners.play_job("run", {"gate": gate})
    report = runners.play_job("report", {"gate": gate, "run": run})
    spared = runners.play_job("run", {"gate": gate}, force=True)
    return {"gate": gate, "run": run, "report": report, "spared": spared}


def succeeded(*jobs: Result) -> None:
    for job in jobs:
        assert job.conclusion == "success", job.log


def stages(job: Result) -> dict[str, str]:
    return dict(json.loads((job.folder / "work/report/run.json").read_text())["stages"])


def test_a_pull_request_that_changes_a_train_param_trains_and_evaluates_only(first: dict[str, Result]) -> None:
    succeeded(*first.values())
    unchanged = dict.fromkeys(("download", "audit", "tokenize", "baselines"), "unchanged")
    assert stages(first["run"]) == unchanged | {"train": "ran", "evaluate": "ran"}


def test_its_data_and_tokens_come_from_the_remote(first: dict[str, Result]) -> None:
    pulled = first["run"].log.split("## Pull", 1)[1].split("## Run", 1)[0]
    for path in ("data/raw/train.parquet", "data/tokenized/train.parquet", "models/pretrained/model/"):
        assert re.search(rf"^A +{path}$", pulled, re.MULTILINE)


def test_its_lock_and_metrics_and_nothing_else_are_committed_to_its_branch(
    project: Project, first: dict[str, Result]
) -> None:
    succeeded(*first.values())
    changed = git("diff", "--name-only", "epochs~1", "epochs", cwd=project.origin).split()
    assert changed == ["dvc.lock", "metrics/metrics.json"]
    assert git("rev-parse", "epochs~1", cwd=project.origin).strip() == first["gate"].outputs["head"]


def test_what_is_committed_is_verified_down_to_the_cache(first: dict[str, Result]) -> None:
    said = (first["report"].folder / "work/report/verified.txt").read_text()
    assert said == "verified: params, data, model, predictions and metrics belong together\n"


def test_a_rerun_on_new_machines_rents_no_gpu_and_reports_all_the_same(again: dict[str, Result]) -> None:
    assert (again["gate"].outputs["run"], again["gate"].outputs["report"]) == ("false", "true")
    assert again["run"].conclusion == "skipped"
    succeeded(again["report"])
    assert "dvc.lock and the metrics are committed already" in again["report"].log


def test_a_rerun_on_a_new_gpu_machine_runs_no_stage(again: dict[str, Result]) -> None:
    succeeded(again["spared"])
    assert set(stages(again["spared"]).values()) == {"unchanged"}


def test_the_comment_is_posted_once_and_then_edited(
    project: Project, first: dict[str, Result], again: dict[str, Result]
) -> None:
    asked = [line for line in project.github.log if not line.startswith("GET")]
    assert asked[0].startswith("POST ")
    assert asked[1:]
    assert all(line.startswith("PATCH ") for line in asked[1:])
    assert len(project.github.comments) == 1
    assert "No run is recorded" in (again["report"].folder / "work/report/report.md").read_text()
    report = (first["report"].folder / "work/report/report.md").read_text()
    for part in (
        "### Results at",
        "accuracy",
        "| `joy` |",
        "| `train.epochs` | `6` | `5` |",
        "| `train` | ran |",
        "minutes",
    ):
        assert part in report


def test_both_sides_pictures_are_among_the_artifacts(first: dict[str, Result]) -> None:
    folder = first["report"].folder.parent / "artifacts/report/report"
    for name in ("confusion_matrices.png", "curves.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_pull_request_that_changes_the_readme_rents_nothing(project: Project) -> None:
    project.change("words", lambda clone: (clone / "README.md").write_text("Other words.\n"))
    jobs = play(project, "words")
    succeeded(jobs["gate"])
    assert [job.conclusion for job in (jobs["run"], jobs["report"])] == ["skipped", "skipped"]


def test_a_worse_model_is_committed_and_reported_and_fails_if_asked_to(project: Project) -> None:
    project.change("worse", epochs(1, train__learning_rate="1e-9"))  # which learns nothing, on any machine
    jobs = play(project, "worse", FAIL_IF_WORSE_BY="0.01")
    succeeded(jobs["gate"], jobs["run"])
    assert jobs["report"].conclusion == "failure"
    assert "committed to worse" in jobs["report"].log
    assert "**worse**" in project.github.comments[-1]["body"]


def test_a_run_of_results_pushed_by_others_takes_the_training_from_the_cache(
    project: Project, first: dict[str, Result]
) -> None:
    project.change("same-epochs", epochs(5))
    runners = project.runners("same-epochs")
    gate = runners.play_job("gate", {})
    job = runners.play_job("run", {"gate": gate})
    succeeded(*first.values(), gate, job)
    assert stages(job)["train"] == "from cache"


def test_no_secret_is_in_any_output(project: Project, first: dict[str, Result], again: dict[str, Result]) -> None:
    said = "".join(job.log for job in (*first.values(), *again.values()))
    said += "".join(comment["body"] for comment in project.github.comments)
    for file in (first["report"].folder.parent / "artifacts").rglob("*.*"):
        said += file.read_bytes().decode(errors="replace")
    for secret in (*project.secrets.values(), TOKEN):
        assert secret not in said


@pytest.mark.skipif(remotes.sshd() is None, reason="no sshd here: apt-get install openssh-server")
def test_a_pull_request_runs_with_a_remote_behind_sshd(first_run: Path, tmp_path: Path) -> None:
    with github_server.serve() as github, remotes.ssh(tmp_path / "ssh") as (address, write, read):
        key = tmp_path / "ssh/keys/write"
        env = {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "dvc")}  # of this test alone
        run("dvc", "remote", "add", "--global", "store", address, cwd=first_run, env=env)
        run("dvc", "remote", "modify", "--global", "store", "keyfile", str(key), cwd=first_run, env=env)
        origin, clone = pushed(first_run, tmp_path, address, env)
        secrets = {"DVC_SSH_WRITE_KEY": write, "DVC_SSH_READ_KEY": read}
        project = Project(origin, clone, github, secrets, {}, {"DVC_REMOTE_KIND": "ssh"})
        project.change("epochs", epochs(5))
        jobs = play(project, "epochs")
        succeeded(*jobs.values())
        assert stages(jobs["run"])["tokenize"] == "unchanged"
        said = "".join(job.log for job in jobs.values())
        assert not [line for line in (write + read).splitlines() if "KEY" not in line and line in said]
