"""What orchestrators share, so that each of them says and decides the same.

``requests`` asks for a run and reports one that is only shown; ``skips`` says whether anything was done; ``pools`` which tasks use one
resource; ``freshness`` which data interval events give a run; and ``events`` what an event tells. Works on the graph of ``model`` and uses
``runtime``; knows no orchestrator and no verb.
"""
