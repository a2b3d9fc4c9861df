"""The stages of the pipeline, each a script of its own, and the modules that they share.

Their bytecode is not kept: Python would run it in place of an edited module of the same size and time.
"""

import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True
shutil.rmtree(Path(__file__).parent / "__pycache__", ignore_errors=True)
