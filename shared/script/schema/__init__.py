"""The script as JSON: marshmallow schemas, fields, placeholders, and the way back to JSON."""
