"""Keeps events, on disk or in memory, and says what lies where in a run directory; knows not what events mean."""
