"""What `from stages import ...` finds where a stage is run by its path, since Python then looks in its folder first."""

raise SystemExit("error: run stages as modules, from the top of the clone: python -m stages.NAME")
