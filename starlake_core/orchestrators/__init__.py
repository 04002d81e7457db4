"""Shared code of orchestrators, so that all of them behave alike.

``requests`` creates requests for runs and reports of dry runs, ``listening`` keeps the errors of listeners away from
runs, ``skips`` tells whether any work was done, ``pools`` which tasks share a resource, ``events`` writes and reads
events, and ``event_files`` reads those of users. Works on the graph of ``model`` and uses ``runtime``; knows no
orchestrator and no verb.
"""
