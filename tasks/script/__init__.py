"""Turns a brief into a script: by a language model, or by the offline outliner where no model is configured."""
