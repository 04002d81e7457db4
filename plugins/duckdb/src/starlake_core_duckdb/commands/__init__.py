"""One module for each command; each has ``run(context)``, which returns the exit code."""
