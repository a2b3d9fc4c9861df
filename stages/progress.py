"""Progress of long work: a bar in a terminal, a plain line now and then in a log."""

import sys
import time
from typing import Self

from tqdm import tqdm

SECONDS = 15.0  # between two lines in a log


class Progress:
    """A context in which ``advance`` counts ``total`` units of work done."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = 0
        self.said = time.monotonic()
        self.bar = tqdm(desc=title, total=total, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, units: int) -> None:
        """Count ``units`` more as done, and say so where it is time to."""
        self.done += units
        self.bar.update(units)
        if self.bar.disable and time.monotonic() - self.said > SECONDS:
            self.said = time.monotonic()
            print(f"{self.title}: {self.done} of {self.total} {self.unit} ({self.done / self.total:.0%})", flush=True)
