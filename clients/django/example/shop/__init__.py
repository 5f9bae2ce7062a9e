"""A shop of three pages that shows how the package is used."""
