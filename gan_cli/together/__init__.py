"""Several runs as one program: tensors of all of them stacked, one step for all, each run with its own numbers."""
