"""Plays the jobs of a workflow file: each in a fresh clone with an empty home, by the very commands that stand there.

A stand-in for GitHub and its runners, for what the project's workflows use of them. Actions are played by what they do
here: checkout clones, upload-artifact and download-artifact copy, setup-python does nothing, and `make install` finds
the environment that runs the tests. Nothing is masked in the log, so that a secret that is printed can be found.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from clones import git, lay_environment

SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # and a file with the step's command, as on GitHub
CONTEXT = re.compile(r"\b(github|secrets|vars|needs|steps)((?:\.[\w-]+)+)")


@dataclass
class Result:
    """How a job ended, what it put out and what its steps printed."""

    conclusion: str
    folder: Path
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Runners:
    """Machines for the jobs of a workflow: what they know of the repository, and what they have handed on."""

    workflow: dict[str, Any]
    origin: Path  # the bare repository
    folder: Path  # where the machines and artifacts lie
    context: dict[str, Any]  # github, secrets, vars
    environment: dict[str, str]
    environments: dict[str, dict[str, str]]  # what the machines of a job, by its name, have besides
    played: int = 0

    def play(self) -> dict[str, Result]:
        """Play the jobs in their order, those whose condition holds."""
        results: dict[str, Result] = {}
        for name in self.workflow["jobs"]:
            results[name] = self.play_job(name, results)
        return results

    def play_job(self, name: str, before: dict[str, Result], *, force: bool = False) -> Result:
        """Play a job after others, or with ``force`` even where its condition does not hold."""
        job = self.workflow["jobs"][name]
        self.played += 1
        folder = self.folder / f"{self.played}-{name}"
        needs = {job: {"result": one.conclusion, "outputs": one.outputs} for job, one in before.items()}
        context = self.context | {"needs": needs, "steps": {}}
        needed = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        fine = all(before[one].conclusion == "success" for one in needed)
        if not force and not holds(job.get("if", ""), context, success=fine):
            return Result("skipped", folder)
        result = Result("success", folder)
        _Machine(self, result, context, job, self.environment | self.environments.get(name, {})).run()
        for key, value in job.get("outputs", {}).items():
            result.outputs[key] = _fill(value, context)
        return result


class _Machine:
    def __init__(
        self,
        runners: Runners,
        result: Result,
        context: dict[str, Any],
        job: dict[str, Any],
        environment: dict[str, str],
    ) -> None:
        self.runners, self.result, self.context, self.job = runners, result, context, job
        self.environment = environment
        self.work = result.folder / "work"
        for name in ("home", "temp", "work"):
            (result.folder / name).mkdir(parents=True)
        self.files = {name: result.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH")}
        for file in self.files.values():
            file.touch()

    def run(self) -> None:
        """Play the steps; after one that failed, those alone that are to run all the same."""
        for number, step in enumerate(self.job["steps"]):
            name = step.get("id", str(number))
            outcome = "skipped"
            if holds(step.get("if", ""), self.context, success=self.result.conclusion == "success"):
                settings = {key: _fill(value, self.context) for key, value in step.get("with", {}).items()}
                done = self._command(step) if "run" in step else self._action(step["uses"].split("@")[0], settings)
                outcome = "success" if done else "failure"
            if outcome == "failure":
                self.result.conclusion = "failure"
            pairs = [line.split("=", 1) for line in self.files["GITHUB_OUTPUT"].read_text().splitlines()]
            self.files["GITHUB_OUTPUT"].write_text("")
            self.context["steps"][name] = {"outcome": outcome, "outputs": dict(pairs)}

    def _command(self, step: dict[str, Any]) -> bool:
        written = {**self.job.get("env", {}), **step.get("env", {})}
        paths = [*reversed(self.files["GITHUB_PATH"].read_text().split()), str(Path(sys.executable).parent)]
        environment = {
            "CI": "true",
            "CUDA_VISIBLE_DEVICES": "",
            "HOME": str(self.result.folder / "home"),
            "RUNNER_TEMP": str(self.result.folder / "temp"),
            "PATH": ":".join([*paths, os.environ["PATH"]]),
            **{name: str(file) for name, file in self.files.items()},
            **self.environment,
            **{name: _fill(str(value), self.context) for name, value in written.items()},
        }
        assert "${{" not in step["run"], "a value reaches a script through env only"
        script = self.result.folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            [*SHELL, str(script)],
            cwd=self.work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.result.log += f"## {step.get('name', step['run'])}\n{done.stdout}"
        return done.returncode == 0

    def _action(self, action: str, settings: dict[str, str]) -> bool:
        artifacts = self.runners.folder / "artifacts"
        if action == "actions/checkout":
            depth = () if settings.get("fetch-depth") == "0" else ("--depth", "1")
            git("init", "--quiet", cwd=self.work)
            git("remote", "add", "origin", self.runners.origin.as_uri(), cwd=self.work)
            git("fetch", "--quiet", *depth, "origin", *(() if not depth else (settings["ref"],)), cwd=self.work)
            target = f"origin/{settings['ref']}" if not depth else "FETCH_HEAD"
            commit = settings["ref"] if re.fullmatch("[0-9a-f]{40}", settings["ref"]) else target
            git("checkout", "--quiet", "--detach", commit, cwd=self.work)
            lay_environment(self.work)
        elif action == "actions/upload-artifact":
            for path in settings["path"].split():
                source, target_path = self.work / path, artifacts / settings["name"] / path
                target_path.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target_path, dirs_exist_ok=True)
                else:
                    shutil.copyfile(source, target_path)
        elif action == "actions/download-artifact":
            shutil.copytree(artifacts / settings["name"], self.work / settings["path"])
        else:
            assert action == "actions/setup-python", action
        return True


def _look_up(context: dict[str, Any], path: str) -> Any:
    value: Any = context
    for name in path.split("."):
        value = value.get(name, "") if isinstance(value, dict) else ""
    return value


def _fill(text: Any, context: dict[str, Any]) -> str:
    """Put values for the expressions in a text."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: str(_evaluate(found[1], context)), str(text))


def holds(condition: str, context: dict[str, Any], *, success: bool) -> bool:
    """Whether a job or a step with this `if` runs, after success or not."""
    expression = condition.removeprefix("${{").removesuffix("}}").strip()
    if not expression:
        return success
    true = bool(_evaluate(expression, context))
    return true if re.search(r"(always|cancelled)\(\)", expression) else true and success


def _evaluate(expression: str, context: dict[str, Any]) -> Any:
    python = CONTEXT.sub(lambda found: repr(_look_up(context, found[0])), expression)
    python = re.sub(r"!(?!=)", " not ", python).replace("&&", " and ").replace("||", " or ").strip()
    known = {
        "always": lambda: True,
        "cancelled": lambda: context.get("cancelled", False),
        "contains": lambda values, one: one in values,
        "fromJSON": json.loads,
    }
    return eval(python, {"__builtins__": {}}, known)


def read_workflow(path: Path) -> dict[str, Any]:
    """A workflow file; YAML takes its key `on` for true."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in document.items()}
