"""Reads what a run has found: trials, incumbents, failures, and how well the workers were used.

Everything comes from the journal, so it can be read on any machine that sees the run directory, also while a
master is writing. Importing this package imports no numerical library; pandas is needed by `Run.to_dataframe` alone.
"""
