"""Decides which configuration to try at which budget, and nothing else.

Bracket arithmetic (:mod:`~bohb_service.optimizer.brackets`), densities, and samplers that turn observations into the
next configuration. Everything here is a pure function of its arguments and of a seed: no clock, no I/O, no threads, no
global randomness. Importing this package, ``observation``, ``brackets`` or ``methods`` does not import NumPy.
"""
