"""The files that each stage writes, their hashes, and the edges of pictures."""

from pathlib import Path

import numpy as np
from clones import STAGES, TREE
from matplotlib.image import imread

from stages import documents, dvcfile, hashing

DEFINED = documents.read(TREE / "dvc.yaml")["stages"]
OUTPUTS = {stage: dvcfile.declared(DEFINED[stage], *dvcfile.WRITTEN) for stage in STAGES}


def digests(folder: Path, stage: str) -> dict[str, str]:
    """The hash of each file that a stage writes."""
    files = [
        file
        for output in OUTPUTS[stage]
        for file in ([folder / output] if (folder / output).is_file() else sorted((folder / output).rglob("*")))
        if file.is_file()
    ]
    assert files
    return {file.relative_to(folder).as_posix(): hashing.md5(file) for file in files}


def white_at_the_edges(picture: Path) -> bool:
    """Whether nothing in a PNG reaches its edge."""
    image = imread(picture)[..., :3]
    return bool((np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]) == 1).all())
