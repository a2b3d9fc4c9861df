"""The stages of the pipeline, each a script of its own, and the modules that they share.

Their bytecode is not kept: Python would run it in place of an edited module of the same size and time. Ctrl-C and a
package that is missing end their imports without a traceback. Garbage is collected less often than by default, which
would make importing the libraries take a third longer.
"""

import gc
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import TracebackType

OWN = {"stages", "tools", "benchmarks"}

gc.set_threshold(100_000)  # allocations between two collections
sys.dont_write_bytecode = True  # nor is any other that this process imports
for compiled in Path(cache_from_source(__file__)).parent.glob("*.pyc"):  # in __pycache__, or in PYTHONPYCACHEPREFIX
    with suppress(OSError):
        compiled.unlink()


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] not in OWN:
        said = f"error: {error.name} is not installed: run `make install`, then `source .venv/bin/activate`"
        print(said, file=sys.stderr)
    elif not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _excepthook
