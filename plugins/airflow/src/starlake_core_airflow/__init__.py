"""The orchestrator ``airflow``: pipelines as native DAGs."""
