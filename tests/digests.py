"""The files that each stage writes, and their hashes."""

from pathlib import Path

from stages import hashing

OUTPUTS = {
    "download": ("data/raw", "models/pretrained"),
    "audit": ("data/audit", "metrics/data.json"),
    "tokenize": ("data/tokenized",),
    "train": ("models/classifier", "metrics/curves"),
    "evaluate": ("data/predictions", "metrics/metrics.json", "metrics/plots"),
    "baselines": ("metrics/baselines.json",),
}


def digests(folder: Path, stage: str) -> dict[str, str]:
    """The hash of each file that a stage writes."""
    files = [
        file
        for output in (*OUTPUTS[stage], f"data/provenance/{stage}.json")
        for file in ([folder / output] if (folder / output).is_file() else sorted((folder / output).rglob("*")))
        if file.is_file()
    ]
    assert files
    return {file.relative_to(folder).as_posix(): hashing.md5(file) for file in files}
