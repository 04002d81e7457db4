"""Runs commands as processes on this machine.

``runner`` starts processes, ``following`` reads their output, ``supervisor`` ends them when the process that started
them ends, ``watchdog`` is the process that outlives it, and ``exclusive`` lets one job at a time use a resource.
Imports ``model`` and ``plugins``. How attempts follow each other is the business of ``runtime``, which imports this
package.
"""
