"""How work reaches the workers: publishing, fairness between accounts, and a broker that lost its data."""
