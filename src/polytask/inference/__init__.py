"""Runs a network over one whole sample, and joins its answers with their truth. Training and prediction both use it."""
