"""What files hold and where their bytes are."""
