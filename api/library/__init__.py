"""What scripts choose from: templates, themes and voices."""
