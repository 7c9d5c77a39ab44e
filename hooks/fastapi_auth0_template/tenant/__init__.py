"""The ways to a tenant: the auth0 executable, the Management API, and the public endpoints."""
