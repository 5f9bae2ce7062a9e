"""A Django site that the tests start as a real server."""
