"""Programs for maintainers of the repository. They are not part of any distribution."""
