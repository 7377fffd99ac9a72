"""The learners, a file for each family, and the registry of all."""
