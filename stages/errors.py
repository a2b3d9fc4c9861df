"""Errors for the person at the keyboard, and what of a library's exception goes into their one line."""

import errno
import os
import signal
import textwrap
from collections.abc import Sequence

NO_ROOM = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)))
MAKE_ROOM = "make room, or raise the limit, and run again"
GPU_ERRORS = ("OutOfMemoryError", "AcceleratorError")  # torch's, by name, since few modules import it
GPU_SAYS = ("CUDA error:", "CUDA driver error:", "cuDNN error:", "MPS backend out of memory")  # torch's words
MEMORY_SAYS = ("DefaultCPUAllocator", os.strerror(errno.ENOMEM))
MAX_PROBLEMS = 8  # problems to name at once
MAX_NAMES = 12  # names in a message


class InputError(Exception):
    """Something the person at the keyboard can fix: each problem says what is wrong, where, and what to do."""

    def __init__(self, *problems: str) -> None:
        more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
        shown = map(printable, problems[:MAX_PROBLEMS])
        super().__init__("\n       ".join([*shown, *more]))  # below one another, after "error: "
        self.problems = problems


class Stopped(BaseException):
    """A signal ended the stage early; the text says what was saved."""

    def __init__(self, number: signal.Signals, text: str) -> None:
        super().__init__(f"stopped by {number.name}: {text}")
        self.code = 128 + number


def printable(text: str) -> str:
    """A text in one line, of characters that a terminal only shows: a file's name may hold any."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def reason(error: BaseException) -> str:
    """What a library says of an error, in one line."""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return textwrap.shorten(said, 300, placeholder=" ...")


def listed(names: Sequence[str]) -> str:
    """Names in one line, whatever they hold and however many they are."""
    shown = ", ".join(repr(name[:50])[1:-1] for name in names[:MAX_NAMES])
    return shown + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


def chain(error: BaseException | None) -> list[BaseException]:
    """An error and those that led to it, the last one first."""
    errors: list[BaseException] = []
    while error is not None and error not in errors:
        errors.append(error)
        error = error.__cause__ or error.__context__
    return errors


def no_room(error: BaseException) -> str:
    """What the system says where there is no room for a file, empty where that is not what an error is about.

    Rust's libraries and Arrow quote the system, with a number of the error or without; torch.save only sees that the
    file is shorter than what it has written.
    """
    for said in map(str, chain(error)):
        if "inline_container" in said:
            return NO_ROOM[0]
        if found := next((words for words in NO_ROOM if words in said), ""):
            return found
    return ""


def of_machine(error: BaseException) -> str:
    """What to do where the GPU or the memory is at fault, its being full included; empty where something else is."""
    if type(error).__name__ in GPU_ERRORS or str(error).startswith(GPU_SAYS):
        return "free the GPU, or compute on the CPU by setting CUDA_VISIBLE_DEVICES to nothing"
    of_memory = isinstance(error, RuntimeError | OSError) and any(words in str(error) for words in MEMORY_SAYS)
    if of_memory or isinstance(error, MemoryError):
        return "the memory is full: free some, or take fewer or shorter texts, or a smaller model"
    return ""
