"""An example site that uses the package."""
