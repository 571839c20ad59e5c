"""Where files are stored: a folder or an S3 bucket, with a local cache."""
