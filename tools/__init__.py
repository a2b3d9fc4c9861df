"""Commands that are not stages. Ctrl-C, a closed pipe and a package that is missing end them without a traceback."""

import os
import sys
from types import TracebackType


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
    elif isinstance(error, ModuleNotFoundError):
        said = f"error: {error.name} is not installed: run `make install`, then `source .venv/bin/activate`"
        print(said, file=sys.stderr)
    elif not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _end
