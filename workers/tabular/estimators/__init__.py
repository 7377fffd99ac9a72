"""The base of the targets' scikit-learn estimators: `fit` runs a study on this machine and ends with an ensemble.

inputs       what `fit` was given, as a file that workers read
search       a study with local workers and a deadline that leaves no process behind
evaluated    the models that the trials of a run have kept, and the ensemble of them
fitted       what `fit` found: the model that predicts, the run, the weights; tables and texts about it
base         the estimators
"""
