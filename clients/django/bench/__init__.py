"""``./dev bench django``: what the middleware costs a page, in time, memory and disk."""
