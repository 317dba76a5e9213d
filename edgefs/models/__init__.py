"""The ladder of models: `small` ships inside the package, the larger ones are built once from packages of the index."""
