"""The add-on ``query``: a query of a database decides whether a domain is loaded."""
