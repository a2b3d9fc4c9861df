"""Clones of this tree as it stands, and commands in them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TREE = Path(__file__).parents[1]
STAGES = ("download", "audit", "tokenize", "train", "evaluate", "baselines")
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in (TREE / "recipes").glob("*.yaml")
}
DEFAULTS = RECIPES["default"]

PIPELINE_PARAMS = {
    "dataset__path": "data/small",
    "model__source": "path",
    "model__path": "models/tiny",
    "model__weights_sha256": None,
    "train__epochs": 2,
    "train__learning_rate": "1e-2",  # written as 1e-2, which DVC reads as a number
}

# planted where a run may find them: none is to be printed or written
SECRETS = {name: f"planted-{name.lower()}-5e1f" for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY")}


OFFLINE = re.compile(  # npm's words, and pip's where it has given up
    r"(EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ENETUNREACH|ETIMEDOUT)"
    r"|(?s:(NewConnectionError|NameResolutionError|ConnectTimeoutError).*\(from versions: none\))"
)


def run(
    *command: str, cwd: Path, check: bool = True, env: dict[str, str] | None = None, needs: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``cwd``; a failure shows all it printed, or skips where what it ``needs`` is out of reach."""
    python = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{python}:{os.environ['PATH']}", "VENV": str(python.parent)} | (env or {})
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        if needs and (offline := OFFLINE.search(done.stderr)):
            pytest.skip(f"{needs} cannot be reached: {offline[1] or offline[2]}")
        pytest.fail(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def git(*arguments: str, cwd: Path, check: bool = True) -> str:
    """Run git and give what it prints."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    return run("git", *identity, *arguments, cwd=cwd, check=check).stdout


def commit(folder: Path, message: str) -> None:
    """Commit all that git tracks, as it stands."""
    git("commit", "--quiet", "--all", "--message", message, cwd=folder)


def commit_all(folder: Path, branch: str = "main") -> None:
    """Make a repository of a folder, with all that is in it in a commit."""
    git("init", "--quiet", "--initial-branch", branch, cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "all of it", cwd=folder)


def make_clone(folder: Path) -> Path:
    """A repository of this tree as it stands, edits and new files included, all in one commit on main.

    What makes it a project of one's own is left out: params, a DVC remote, and what is under `dvc add`.
    """
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", cwd=TREE).splitlines():
        if (TREE / name).is_file() and not name.endswith(".dvc"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, folder / name)
    shutil.copyfile(folder / "recipes/default.yaml", folder / "params.yaml")
    config = folder / ".dvc/config"
    sections = re.split(r"^(?=\[)", config.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = "".join(section for section in sections if not section.startswith("['remote "))
    config.write_text(re.sub(r"(?m)^ *remote = .*\n", "", kept), encoding="utf-8")
    commit_all(folder)  # a new repository and no clone, since this may be shallow
    git("config", "user.name", "test", cwd=folder)  # which DVC's experiments need, and a new machine has not
    git("config", "user.email", "test@example.com", cwd=folder)
    git("gc", "--quiet", cwd=folder)  # few files to copy in each test
    return folder


def lay_environment(clone: Path) -> None:
    """Lay the environment that runs the tests where `make install` looks for one, so that it is taken as it is."""
    (clone / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (clone / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (clone / ".venv/.installed").touch()


def set_params(folder: Path, **changes: Any) -> None:
    """Write ``folder``'s params.yaml: the default recipe with ``section__key=value`` changed."""
    document = {section: dict(keys) for section, keys in DEFAULTS.items()}
    for name, value in changes.items():
        section, key = name.split("__")
        document[section][key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def change_params(folder: Path, **changes: Any) -> None:
    """Write the params.yaml of a copy of the pipeline's clone: that of its run with ``changes``."""
    set_params(folder, **PIPELINE_PARAMS | changes)


def keep_data_in_dvc(folder: Path, inner: str = "") -> None:
    """Have the pipeline read its data from data/kept, which `dvc add` tracks, or from a folder in it."""
    shutil.copytree(folder / "data/small", folder / f"data/kept{inner}")
    run("dvc", "add", "data/kept", cwd=folder)
    git("add", "data/kept.dvc", "data/.gitignore", cwd=folder)
    change_params(folder, dataset__path=f"data/kept{inner}")


def ran(said: str) -> list[str]:
    """The stages that DVC says it ran."""
    return re.findall(r"^Running stage '(\w+)'", said, re.MULTILINE)


def stages_run(folder: Path, *targets: str) -> list[str]:
    """Run `dvc repro` and give the stages that ran."""
    return ran(run("dvc", "repro", *targets, cwd=folder).stdout)
