"""How sure an answer is, and with what promise: calibration, and sets that hold the truth as often as they say.

`fit_trust` fits them on held-out answers, which chose nothing, and checks them on subjects that fitted nothing.
"""
