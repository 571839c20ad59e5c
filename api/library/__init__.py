"""What scripts are made of: assets, templates, themes and voices."""
