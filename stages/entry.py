"""How every stage and tool starts and ends: pinned versions only, errors without a traceback, exit code 1."""

import argparse
import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from stages import environment, requirements
from stages.errors import MAKE_ROOM, InputError, Stopped, chain, no_room, of_machine, printable, reason

ELSEWHERE = (
    "standard output, a temporary file, or a checkpoint under $RETUNE_CHECKPOINTS "
    "(by default ~/.cache/retune/checkpoints)"
)


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The command line of the module ``name``; its help is the module's docstring as it stands."""
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(f"python -m {name}", description=description, formatter_class=layout)


def run(main: Callable[[], None], *, offline: bool = True, pinned: bool = True) -> None:
    """Call ``main``; tell on stderr what a person can fix, a line for each problem, and exit with 1.

    ``RETUNE_TRACEBACK=1`` shows the traceback instead. With ``offline`` no Hugging Face library reaches for the hub.
    Without ``pinned`` the libraries of requirements.txt need not be installed.
    """
    stage = sys.modules["__main__"]
    name = getattr(stage.__spec__, "name", "")
    is_stage = name.startswith("stages.")
    _prepare_streams(is_stage=is_stage)
    environment.prepare(offline=offline)
    if is_stage:  # tools have arguments of their own
        parser(name, stage.__doc__).parse_args()
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()
    try:
        environment.check()
        if pinned:
            requirements.check_installed()
        main()
        if sys.stdout is not None:
            sys.stdout.flush()  # while an error of it can still be told
    except Exception as error:
        if not _tell(error):
            raise
        sys.exit(1)
    except Stopped as stop:
        with suppress(OSError):  # nobody may be left to read it
            print(stop, file=sys.stderr)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if sys.stdout is not None:
            with _unless_unwritable(sys.stdout):  # at exit Python would try once more, and complain
                sys.stdout.flush()


def _end_without(parent: int) -> None:
    """Wait for DVC, which started this process, to be gone, and send SIGTERM: DVC forwards no signals."""
    while os.getppid() == parent and _in_this_session(parent):
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


def _in_this_session(parent: int) -> bool:
    """Whether ``parent`` is DVC, and not a process that adopted this one because DVC had already died."""
    with suppress(ProcessLookupError):
        return os.getsid(parent) == os.getsid(0)
    return False


class Log(io.TextIOWrapper):
    """Standard output of a stage: what it prints is dropped once nobody reads it, since its results are files."""

    def write(self, text: str) -> int:
        """Write, if that can be done."""
        with _unless_unwritable(self):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be done."""
        with _unless_unwritable(self):
            super().flush()


@contextmanager
def _unless_unwritable(stream: TextIO) -> Iterator[None]:
    """Once ``stream`` cannot be written, have it write to /dev/null, what it still holds included."""
    try:
        yield
    except OSError:
        with open(os.devnull, "wb") as null:  # noqa: PTH123
            os.dup2(null.fileno(), stream.fileno())


def _prepare_streams(*, is_stage: bool) -> None:
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a label name is no reason to fail in a poorer locale
    if is_stage and isinstance(sys.stdout, io.TextIOWrapper):
        was = {name: getattr(sys.stdout, name) for name in ("encoding", "errors", "line_buffering", "write_through")}
        sys.stdout = Log(sys.stdout.detach(), **was)


def _tell(error: Exception) -> bool:
    """Tell the person in a line what to do; false where it is not theirs to fix, or the traceback is asked for."""
    if isinstance(error, BrokenPipeError):
        return True  # they have read enough of the output
    message = _message(error)
    if message is None or os.environ.get("RETUNE_TRACEBACK"):
        return False
    print(f"error: {message}", file=sys.stderr)
    return True


def _message(error: Exception) -> str | None:
    """What to tell the person, None where it is not theirs to fix."""
    for cause in reversed(chain(error)):
        if advice := of_machine(cause):  # whatever it was taken for on the way here
            return f"{reason(cause)}: {advice}"
    if isinstance(error, InputError):
        return str(error)
    if said := no_room(error):
        return f"{printable(str(getattr(error, 'filename', None) or ELSEWHERE))}: {said}: {MAKE_ROOM}"
    if isinstance(error, OSError) and error.filename is not None:
        gone = error.errno == errno.ENOENT
        advice = "check its name, and run from the top of the clone" if gone else "check the path and its permissions"
        if gone and Path(str(error.filename)).is_symlink():
            advice = "it is a link that leads nowhere: run `dvc checkout` if DVC made it"
        return f"{printable(str(error.filename))}: {error.strerror}: {advice}"
    if any(kind.__name__ == "DvcException" for kind in type(error).__mro__):
        return f"DVC cannot go on ({reason(error)}): undo the last edit, perhaps of .dvc/config"
    return None
