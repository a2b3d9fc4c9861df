"""The stages of the pipeline, each a script of its own, and the modules that they share.

Their bytecode is not kept, nor looked for in PYTHONPYCACHEPREFIX: Python would run it in place of an edited module of
the same size and time. Ctrl-C and a package that is missing end their imports without a traceback.
"""

import shutil
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import TracebackType

OWN = {"stages", "tools", "benchmarks"}

sys.dont_write_bytecode = True  # nor is any other that this process imports
with suppress(OSError):
    Path(cache_from_source(__file__)).unlink()  # of this module, which had to be written before this line ran
sys.pycache_prefix = None
shutil.rmtree(Path(__file__).parent / "__pycache__", ignore_errors=True)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] not in OWN:
        said = f"error: {error.name} is not installed: run `make install`, then `source .venv/bin/activate`"
        print(said, file=sys.stderr)
    elif not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _excepthook
