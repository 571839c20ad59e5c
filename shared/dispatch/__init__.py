"""How work reaches the workers: publishing, fairness between accounts, and detection of a broker that lost messages."""
