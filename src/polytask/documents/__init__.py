"""Read YAML, JSON and JSON lines: the only place that does, with limits, and with a one-line error for every fault."""
