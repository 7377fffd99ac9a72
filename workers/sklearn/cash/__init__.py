"""Combined algorithm selection and hyperparameter optimisation over scikit-learn: the parts of the target `sklearn`."""
