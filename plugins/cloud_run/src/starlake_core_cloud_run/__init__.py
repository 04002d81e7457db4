"""The environment ``cloud_run``: runs the tasks of a pipeline as executions of a Cloud Run job."""
