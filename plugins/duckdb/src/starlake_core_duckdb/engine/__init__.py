"""The warm engine: one process that runs the commands of all pipelines on a database, each in a thread and with a cursor of its own.

``identity`` says which commands share an engine, and ``election`` starts one if none runs. ``client`` speaks to it, in frames of
``wire``; ``following`` follows one command of a run. On the other side are ``server``, ``commands``, ``databases`` and ``output``.
Importing the package imports none of them.
"""
