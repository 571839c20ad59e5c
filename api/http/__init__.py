"""What every request and answer has, whatever it is about."""
