"""The environment ``dataproc``: Starlake commands as Spark jobs of Dataproc."""
