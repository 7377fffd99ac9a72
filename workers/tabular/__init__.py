"""What the targets for tables share: data sources, types of columns, splits, metrics, saved models, ensembles."""
