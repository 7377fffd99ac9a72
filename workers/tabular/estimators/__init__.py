"""The base of the targets' scikit-learn estimators: `fit` runs a study on this machine and ends with an ensemble.

validation   what users pass to `fit` and `predict`, checked as scikit-learn checks it
inputs       what `fit` was given, as a file that workers read
search       a study with local workers and a deadline that leaves no process behind
inline       a study in this process, without workers
evaluated    the models that the trials of a run have kept, and those chosen for the ensemble
combined     these as one model that predicts from rows as the user gives them
prior        what is predicted when nothing was learned
refit        training a member on all rows
fitted       tables and texts about what was found
base, kinds  the estimators
"""
