"""What manage.py runs."""
