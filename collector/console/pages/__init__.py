"""One module a page: ``ROUTES``, and handlers that gather what a template shows."""
