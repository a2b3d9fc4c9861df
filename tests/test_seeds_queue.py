"""How tools.seeds deals with DVC's queue, its workers and its experiments, of which stand-ins play the part."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from clones import set_params

from stages.errors import InputError
from tools import changes, revisions, run_cache, seeds


class Queue:
    """Stands in for DVC's queue and its workers, what those that are alive do by their names."""

    def __init__(self, statuses: dict[str, str], workers: dict[str, list[str]]) -> None:
        self.statuses, self.workers = statuses, workers
        self.killed: list[str] = []
        self.asked = False
        self.celery = SimpleNamespace(control=SimpleNamespace(inspect=self.inspect))

    def __call__(self) -> AbstractContextManager[SimpleNamespace]:
        """As Repo()."""
        return nullcontext(SimpleNamespace(experiments=SimpleNamespace(celery_queue=self)))

    def status(self) -> list[dict[str, str]]:
        return [{"rev": f"of {name}", "name": name, "status": status} for name, status in self.statuses.items()]

    def inspect(self, timeout: float, limit: int) -> SimpleNamespace:
        assert (timeout, limit) == (15, 1)
        self.asked = True
        return SimpleNamespace(active=lambda: self.workers or None)

    def kill(self, revs: list[str]) -> None:
        self.killed += revs


EVERY_STATUS = {"1ab-seed1": "Queued", "1ab-seed2": "Running", "1ab-seed3": "Success", "1ab-seed4": "Failed"}


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A clean folder whose experiments are stand-ins, and what is done there: seed 1 is known, seed 2 is queued."""
    done: list[str] = []

    def output(*command: str, **_: str) -> str:
        words = " ".join(command)
        done.append(words)
        if "exp list" in words:
            return "1ab-seed1\n1ab-seed2\n1ab-seed3\n" if "the queue" in done else "1ab-seed1\n"
        return ""

    monkeypatch.chdir(tmp_path)
    set_params(tmp_path)
    monkeypatch.setattr(seeds, "output", output)
    monkeypatch.setattr(seeds, "Repo", Queue({"1ab-seed2": "Running"}, {"worker": ["1ab-seed2"]}))
    monkeypatch.setattr(seeds, "commit", lambda *_: "1ab")
    monkeypatch.setattr(seeds, "check_committed", lambda _: None)
    monkeypatch.setattr(seeds, "shallow", lambda: False)
    monkeypatch.setattr(seeds, "_run_queue", lambda: done.append("the queue"))
    monkeypatch.setattr(run_cache, "forget_mixed", lambda: done.append("forget mixed runs"))
    monkeypatch.setattr(revisions, "read", lambda _: None)
    monkeypatch.setattr(revisions, "read_side", done.append)
    return done


def test_only_seeds_that_are_neither_known_nor_queued_are_queued(queue: list[str]) -> None:
    assert seeds.run_experiments(3) == ["1ab-seed1", "1ab-seed2", "1ab-seed3"]
    assert [words for words in queue if "exp run" in words] == [
        "dvc --wait-for-lock exp run --queue --name 1ab-seed3 --set-param train.seed=3"
    ]


@pytest.mark.usefixtures("queue")
def test_where_every_seed_has_run_nothing_else_that_is_queued_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "_run_queue", lambda: pytest.fail("the queue"))
    assert seeds.run_experiments(1) == ["1ab-seed1"]


@pytest.mark.parametrize(
    ("workers", "killed"),
    [({}, ["of 1ab-seed2"]), ({"worker": []}, []), ({"worker": ["1ab-seed2"]}, [])],
    ids=["dead", "idle", "active"],
)
def test_what_runs_without_a_worker_is_counted_as_failed_so_that_it_runs_again(
    monkeypatch: pytest.MonkeyPatch, workers: dict[str, list[str]], killed: list[str]
) -> None:
    queue = Queue(EVERY_STATUS, workers)
    monkeypatch.setattr(seeds, "Repo", queue)
    seeds._fail_dead()  # noqa: SLF001
    assert queue.killed == killed


def test_where_nothing_runs_no_worker_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({"1ab-seed1": "Queued", "1ab-seed3": "Success"}, {})
    monkeypatch.setattr(seeds, "Repo", queue)
    seeds._fail_dead()  # noqa: SLF001
    assert not queue.asked


@pytest.mark.usefixtures("queue")
def test_what_runs_without_a_worker_is_counted_as_failed_before_any_seed_is_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = Queue({"1ab-seed2": "Running"}, {})
    monkeypatch.setattr(seeds, "Repo", dead)
    seeds.run_experiments(3)
    assert dead.killed == ["of 1ab-seed2"]


def test_what_dvc_says_of_a_dead_worker_is_no_part_of_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Queue({"1ab-seed2": "Running"}, {})
    monkeypatch.setattr(dead, "kill", lambda _: print("said by DVC"))
    monkeypatch.setattr(seeds, "Repo", dead)
    seeds._fail_dead()  # noqa: SLF001
    assert capsys.readouterr() == ("", "said by DVC\n")


def test_what_is_queued_is_looked_at_before_what_is_done_so_that_no_seed_is_missed_in_between(
    queue: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting() -> list[str]:
        queue.append("what is queued")
        return []

    monkeypatch.setattr(seeds, "_waiting", waiting)
    seeds.run_experiments(3)
    assert [words for words in queue if words == "what is queued" or "exp list" in words][:1] == ["what is queued"]


def test_data_that_git_does_not_have_are_copied_for_each_seed(
    queue: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "untracked", lambda _: ["data/own/", "models/own/"])
    monkeypatch.setattr(changes, "changes", list)
    seeds.run_experiments(3)
    (queued,) = [words for words in queue if "exp run" in words]
    assert queued.endswith(" --copy-paths data/own/ --copy-paths models/own/")


def test_runs_that_dvc_commit_made_up_are_forgotten_before_the_queue_runs(queue: list[str]) -> None:
    seeds.run_experiments(3)
    assert [words for words in queue if words in {"forget mixed runs", "the queue"}] == [
        "forget mixed runs",
        "the queue",
    ]


@pytest.mark.usefixtures("queue")
def test_experiments_that_differ_in_more_than_their_seed_are_to_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_side(side: str) -> None:
        raise InputError(f"{side}: differ")

    monkeypatch.setattr(revisions, "read_side", read_side)
    said = "^1ab-seed1,1ab-seed2,1ab-seed3: differ; to run an experiment again, `dvc exp remove` it first$"
    with pytest.raises(InputError, match=said):
        seeds.run_experiments(3)


def test_an_experiment_that_failed_is_named(queue: list[str]) -> None:
    with pytest.raises(InputError, match=r"^1ab-seed4 failed: see `dvc queue logs 1ab-seed4`"):
        seeds.run_experiments(4)
    assert "the queue" in queue


def test_a_queue_that_dvc_cannot_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "DVC", ("false",))
    monkeypatch.setattr(seeds, "_waiting", lambda: ["1ab-seed1"])
    with pytest.raises(InputError, match=r"^`dvc exp run --run-all` failed: see its output above$"):
        seeds._run_queue()  # noqa: SLF001


def test_a_queue_that_stays_idle_is_ended_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([["1ab-seed1"], [], ["1ab-seed2"], [], []])
    monkeypatch.setattr(seeds, "DVC", ("sh", "-c", "exec tail -f /dev/null"))
    monkeypatch.setattr(seeds, "POLL", 0)
    monkeypatch.setattr(seeds, "_waiting", lambda: next(looks))
    seeds._run_queue()  # noqa: SLF001
    assert not list(looks)


def test_what_is_queued_and_what_runs_is_not_done_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "Repo", Queue(EVERY_STATUS, {}))
    assert seeds._waiting() == ["1ab-seed1", "1ab-seed2"]  # noqa: SLF001


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (changes.Change("download", "changed deps", "data/sample", "modified"), True),
        (changes.Change("download", "changed deps", "models/own", "modified"), True),
        (changes.Change("download", "changed deps", "data/sample", "new"), False),
        (changes.Change("train", "changed deps", "stages/train.py", "modified"), False),  # committed, run again anyway
    ],
)
@pytest.mark.usefixtures("queue")
def test_only_edits_of_data_that_git_does_not_have_are_refused(
    monkeypatch: pytest.MonkeyPatch, change: changes.Change, *, refused: bool
) -> None:
    monkeypatch.setattr(seeds, "untracked", lambda _: ["data/sample/"])
    monkeypatch.setattr(changes, "changes", lambda: [change])
    advice = r"run `dvc repro` and commit dvc\.lock and metrics/metrics\.json"
    said = rf"^the data has changed since dvc\.lock was written \({change}\): {advice}$"
    with pytest.raises(InputError, match=said) if refused else nullcontext():
        seeds.run_experiments(3)
