"""Rules of credentials: access tokens, log-ins with their refresh tokens, and the login throttle."""
