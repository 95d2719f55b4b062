"""Mutated files of every kind Polytask reads, in a process of their own: one line or a right reading, nothing else."""
