"""Commands that are not stages. They share the excepthook of the package stages, and keep no bytecode either."""

import stages  # noqa: F401
