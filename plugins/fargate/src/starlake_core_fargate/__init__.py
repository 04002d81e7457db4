"""The environment ``fargate``: runs Starlake commands as tasks of Amazon ECS on Fargate.

Nothing is imported here, because loading the plugin's hooks imports this package: boto3 belongs to the worker.
"""
