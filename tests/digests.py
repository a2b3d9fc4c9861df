"""The files that each stage writes, and their hashes."""

from pathlib import Path

from clones import STAGES, TREE

from stages import dvcfile, hashing, yaml12

DEFINED = yaml12.read(TREE / "dvc.yaml")["stages"]
OUTPUTS = {stage: dvcfile.declared(DEFINED[stage], *dvcfile.WRITTEN) for stage in STAGES}


def digests(folder: Path, stage: str) -> dict[str, str]:
    """The hash of each file that a stage writes."""
    found = (path for output in OUTPUTS[stage] for path in (folder / output, *(folder / output).rglob("*")))
    files = [path for path in found if path.is_file()]
    assert files
    return {file.relative_to(folder).as_posix(): hashing.md5(file) for file in files}
