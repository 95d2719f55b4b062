"""The rules, one file a concept: measured facts in, values with reasons out. Nothing here reads a file."""
