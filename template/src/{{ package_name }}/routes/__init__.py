"""The routes: each module here is included by its `router`; a new one needs no edit of this."""

import pkgutil
from importlib import import_module

from fastapi import FastAPI


def include_all(app: FastAPI) -> None:
    """Include the `router` of each module of this folder, in the order of their names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        app.include_router(import_module(f"{__name__}.{module.name}").router)
