"""Everything this API reads from its environment and .env: Auth0's settings, and your own."""

from .auth import AuthSettings


class Settings(AuthSettings):
    """The settings of this API; a field `page_size: int = 20` is read from PAGE_SIZE."""
