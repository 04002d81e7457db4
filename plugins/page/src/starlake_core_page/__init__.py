"""Pages that show pipelines and their runs: one file without network access, or live on this machine."""
