"""Numeric core of the preference models: no Django, no files, no clock, no global seed.

Arrays and seeds come in, frozen results go out. Import the module that is needed
(`modeling.core.heads`, `modeling.core.metrics`, …); this package imports none of them, so that
naming one light module never loads torch or scikit-learn.
"""
