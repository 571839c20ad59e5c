"""Assets and uploads: raw bodies, multipart forms, and resumable uploads by tus 1.0.0."""
