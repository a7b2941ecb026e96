"""Jobs that can be interrupted: identity, results so far, processes, locks, files."""
