"""The environment ``dataproc``: runs Starlake commands as Spark jobs of Dataproc."""
