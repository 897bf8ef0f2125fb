"""Data sources, one a file. A source's `load` returns a `Dataset`."""
