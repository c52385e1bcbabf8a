"""`attune train`: out of the log, a snapshot that recommend takes up."""
