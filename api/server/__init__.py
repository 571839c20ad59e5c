"""How gunicorn and gevent serve the gateway: keep-alive, lingering close, offloading, psycopg2 under gevent."""
