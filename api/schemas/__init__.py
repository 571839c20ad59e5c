"""Marshmallow schemas of the request and response bodies that only the API reads or writes."""
