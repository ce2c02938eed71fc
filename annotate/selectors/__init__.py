"""Reads: query sets, plain values, or frozen dataclasses of arrays for the cores."""
