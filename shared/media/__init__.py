"""What a media file is: its type by content, and the facts that a probe reads from it."""
