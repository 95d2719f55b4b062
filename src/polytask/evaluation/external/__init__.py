"""Judges a model on another hospital's cohort: matches words, leaves out known subjects, measures the performance
drop."""
