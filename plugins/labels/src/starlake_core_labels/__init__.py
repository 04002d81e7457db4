"""The add-on ``labels``: labels of costs on every job, the jobs around a pipeline included."""
