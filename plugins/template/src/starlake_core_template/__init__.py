"""The add-on ``template``: writes the project of a new plugin, for ``starlake-orchestrate new-plugin``.

The folders ``environment``, ``orchestrator`` and ``addon`` each hold a whole project called *acme*. Every file has the
suffix ``.txt``, which it loses when it is written.
"""
