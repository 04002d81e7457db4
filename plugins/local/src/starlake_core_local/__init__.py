"""The orchestrator ``local``: runs pipelines in the current process, records every run and can resume it."""
