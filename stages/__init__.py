"""The stages of the pipeline, each a script of its own, and the modules that they share."""
