"""The data of pipelines and their runs: plain values, without I/O, clock or plugins.

``graph`` holds tasks, groups and edges, ``kinds`` their enumerations, and ``graph_json`` writes them as JSON.
``command`` is a call of Starlake, ``job`` a command for an environment, ``run`` a run and its attempts, ``run_options``
its variables. ``outcome`` and ``exit_codes`` describe how an attempt ended, ``written`` what it wrote; ``dataset``,
``lineage``, ``schedule``, ``facts`` and ``details`` what a project defines; ``page`` what a page shows; ``identity``
tells whether two pieces of work are the same; ``worst_case`` builds the longest possible job; ``names`` and ``demo`` are
for plugins. From the core it imports only top-level modules (``errors``, ``masking``).
"""
