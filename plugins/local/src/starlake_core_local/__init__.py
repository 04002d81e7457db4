"""The orchestrator ``local``: pipelines run in this process, recorded and resumable."""
