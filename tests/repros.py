"""`dvc repro` in a session of its own, to be watched, and killed in whole or in part."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PATIENCE = 300  # seconds until a test gives up; nothing is timed by it


class Repro:
    """A run of ``dvc repro`` (or another command) whose output is read line by line.

    Attributes:
        said: the lines so far, of stdout and stderr.
    """

    def __init__(self, clone: Path, *command: str, **environment: str) -> None:
        python = Path(sys.executable).parent
        self.process = subprocess.Popen(
            # as in a terminal, wherever the tests run: nohup ignores SIGHUP, a script's background SIGINT
            ("env", "--default-signal=HUP,INT", *(command or ("dvc", "repro"))),
            cwd=clone,
            env=os.environ | {"PATH": f"{python}:{os.environ['PATH']}"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as stream:
            for line in stream:
                self.said.append(line)
                self.lines.put(line)
        self.lines.put(None)

    def wait_for(self, pattern: str) -> re.Match[str] | None:
        """Wait for a line that ``pattern`` is found in; None where the output ends without."""
        while (line := self.lines.get(timeout=PATIENCE)) is not None:
            if match := re.search(pattern, line):
                return match
        return None

    def stage(self) -> psutil.Process | None:
        """The process of the stage under way."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if any(word.startswith("stages.") for word in child.cmdline()):
                        return child
        return None

    def kill(self, whom: str, number: signal.Signals) -> None:
        """Send a signal to ``dvc``, to the ``stage`` or to the ``group``, which is both."""
        stage = self.stage() if whom == "stage" else None
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if stage:
                stage.send_signal(number)
            elif whom == "group":
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        if not stage and number != signal.SIGINT:  # DVC, which leaves Ctrl-C to the stage, dies of the others at once
            self.process.wait(PATIENCE)

    def alive(self) -> bool:
        """Whether any process of the session is, DVC or an orphan."""
        self.process.poll()
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self) -> str:
        """Wait until no process of the session is left; give all that was said."""
        wait_until(lambda: not self.alive())
        self.process.wait()
        self.reader.join(PATIENCE)
        return "".join(self.said)


@contextmanager
def suspended(process: psutil.Process | None) -> Iterator[None]:
    """Hold a process still, as one in the middle of a long step."""
    assert process
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until ``holds`` does; a failure where that takes minutes."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited for minutes"
        time.sleep(0.02)
