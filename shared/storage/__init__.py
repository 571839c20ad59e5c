"""Stores files in a folder or in an S3 bucket, with a local cache."""
