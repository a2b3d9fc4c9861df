"""Kills at random moments: of one stage, and as many as reach every stage often."""

from pathlib import Path

import pytest
import torture
from clones import STAGES

pytestmark = pytest.mark.long


@pytest.mark.parametrize("stage", ["tokenize", "train"])
def test_a_kill_of_a_stage_changes_nothing(pipeline: Path, tmp_path: Path, stage: str) -> None:
    ordeal = torture.Torture(pipeline, tmp_path, seed=1)
    for _ in range(10):  # a round ends early where a run was quicker than the blow
        if not ordeal.kills[stage]:
            ordeal.round(1, (stage,))
    assert ordeal.kills[stage] == 1
    assert ordeal.counts["equal bytes"]


def test_many_kills_in_all_stages_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ordeal = torture.Torture(torture.reference(tmp_path), tmp_path, seed=2)
    ordeal.endure(50)
    with capsys.disabled():
        print(f"\n{ordeal.report()}")
    assert all(ordeal.kills[stage] for stage in STAGES)
    assert ordeal.counts["resumes"]
