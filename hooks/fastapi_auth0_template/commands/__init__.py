"""The commands: each takes the options and the console, and returns its exit code."""
