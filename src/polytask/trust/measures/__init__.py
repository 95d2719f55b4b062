"""Measures how far answers can be trusted: whether probabilities come true, and which answers should be left to people.

Everything here is computed from known answers that were calibrated by subjects other than their own.
"""
