"""What every request and response needs: context, bodies, idempotency, rate limits, query parameters, conditions."""
