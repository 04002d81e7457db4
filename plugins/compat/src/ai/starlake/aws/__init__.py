"""``ai.starlake.aws``: nothing is needed from here any more, the options ``aws_*`` say it all."""

__all__: list[str] = []
