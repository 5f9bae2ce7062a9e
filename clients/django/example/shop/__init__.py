"""A small shop that shows how the package is used."""
