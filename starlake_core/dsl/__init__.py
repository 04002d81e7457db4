"""The words with which a user draws pipelines.

``orchestration`` opens plugins and options and makes a ``pipeline``, whose ``verbs`` add tasks to ``groups`` with the keywords of ``task_arguments``;
``templates`` draws whole schedules and lineages with them, ``datasets`` are those of a lineage, ``placeholders`` what others would render;
``pipeline_files`` reads the files that do so, and ``caller`` knows which one. May import every package but the command line and the kit, which
alone import it.
"""
