"""The JSON schemas of scripts, briefs and outputs: marshmallow fields, placeholders, and serialization back to JSON."""
