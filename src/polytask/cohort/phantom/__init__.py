"""The phantom cohort: synthetic images whose labels are geometric, related to each other, and known in full."""

from polytask.cohort.phantom.make import make_phantom

__all__ = ["make_phantom"]
