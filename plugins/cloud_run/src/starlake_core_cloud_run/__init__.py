"""The environment ``cloud_run``: the tasks of a pipeline are executions of a Cloud Run job."""
