"""The rules of jobs and what belongs to them: states, cancellation, deliveries, assets, uploads, retention."""
