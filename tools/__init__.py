"""Commands that are not stages. What `stages` sets for a process holds for them; only this file's bytecode is kept."""

import stages  # noqa: F401
