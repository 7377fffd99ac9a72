"""What targets of all kinds share: seeds, checkpoints, whole folders and budgets, digests, limits of threads."""
