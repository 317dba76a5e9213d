"""One file for each command of `edgefs`."""
