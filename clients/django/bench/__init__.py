"""``./dev bench django``: the cost of the middleware in time, memory and disk space."""
