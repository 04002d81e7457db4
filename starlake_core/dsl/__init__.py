"""The language in which users write pipelines.

``orchestration`` selects plugins and options and creates a ``pipeline``, whose ``verbs`` add tasks to ``groups``.
``task_arguments`` are the keywords of verbs, ``templates`` draws whole schedules and lineages, ``datasets`` are those
of a lineage, and ``placeholders`` warns of templates. ``pipeline_files`` loads pipeline files, ``caller`` finds the
module of the one being read, and ``faults`` reports what cannot be built. This package may import every package except
the command line and the kit, and only those two import it.
"""
