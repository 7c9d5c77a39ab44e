"""The commands: each takes the options and the console, and returns its exit code."""

from .doctor import doctor
from .setup import setup
from .token import token

__all__ = ["doctor", "setup", "token"]
