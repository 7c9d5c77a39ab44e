"""The application object for `fastapi dev` and `fastapi run`; servers call the factory."""

from .main import create_app

app = create_app()
