"""Who is calling, what they may and have used, and what operators do."""
