"""The rules of planning, one file per concept: measured facts in, values with reasons out. No rule reads a file."""
