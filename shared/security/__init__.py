"""Who may come in, and which addresses we go to: users, log-ins, tokens, throttles for guesses, the guard of outside."""
