"""The built-in targets, one package each; they know of the service only the base class, errors and suggestions."""
