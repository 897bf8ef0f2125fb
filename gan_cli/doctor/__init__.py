"""Says in plain words what a run's log shows: rules over metrics.jsonl, without torch, files only in `run_files`."""
