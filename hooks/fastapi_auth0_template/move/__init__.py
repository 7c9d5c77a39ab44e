"""The move from self-hosted identity to Auth0: files, jobs, roles, and the lines to change."""
