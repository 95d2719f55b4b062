"""The phantom cohort: synthetic images with geometric labels that depend on each other and are fully known."""

from polytask.cohort.phantom.generator import make_phantom

__all__ = ["make_phantom"]
