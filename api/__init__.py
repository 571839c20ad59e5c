"""The HTTP gateway: validates requests, writes jobs to Postgres, publishes them, and reports on them."""
