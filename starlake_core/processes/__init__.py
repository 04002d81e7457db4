"""Commands as processes of this machine.

``runner`` starts them and finds them again, ``following`` reads what they write, ``supervisor`` ends them with whoever started them,
``watchdog`` is the process that outlives it, and ``exclusive`` lets one at a time use a resource. Imports ``model`` and ``plugins``; how
attempts go on from one to the next is the business of ``runtime``, which imports it.
"""
