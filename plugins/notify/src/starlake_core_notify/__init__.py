"""The add-on ``notify``: a webhook hears how tasks end."""
