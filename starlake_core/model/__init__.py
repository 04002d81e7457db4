"""What a pipeline is and what becomes of it: plain data, without I/O, clock or plugins.

``graph`` holds tasks, groups and edges, ``kinds`` the words for them, ``graph_json`` shows them; ``command`` is what Starlake is asked to do; ``job``
a command for an environment; ``run`` what is asked for, a run, and an attempt; ``run_options`` the variables that a run brings; ``outcome`` and
``exit_codes`` how an attempt ended; ``dataset``, ``lineage``, ``schedule`` and ``facts`` what a project says; ``identity`` what is the same work, and
``worst_case`` the longest that is ever sent for it; ``names`` and ``demo`` words for plugins.
Imports nothing of the core but modules beside the packages (``errors``, ``masking``).
"""
