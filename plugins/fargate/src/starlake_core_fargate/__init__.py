"""The environment ``fargate``: Starlake commands as tasks of Amazon ECS on Fargate.

Nothing is imported here, because whoever loads the plugin's hooks passes by: boto3 belongs to the worker.
"""
