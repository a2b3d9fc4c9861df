"""Commands that are not stages; the end of their imports is that of the stages'."""

import stages  # noqa: F401
