"""Commands that are not stages. They share the excepthook of the package stages; only this file's bytecode is kept."""

import stages  # noqa: F401
