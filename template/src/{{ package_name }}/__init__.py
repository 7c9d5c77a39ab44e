"""The API; main.py puts it together."""
