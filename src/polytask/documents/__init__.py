"""YAML, JSON and JSON lines from disk: the one place that reads them, with limits, and one line for every fault."""
