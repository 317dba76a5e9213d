"""One file for each action of `edgefs bundle`."""
