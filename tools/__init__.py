"""Commands that are not stages; importing those gives these their excepthook, and keeps no bytecode."""

import stages  # noqa: F401
