"""Sweeps: many runs from one file, models x tasks x methods x seeds, kept as they finish and gone on with."""
