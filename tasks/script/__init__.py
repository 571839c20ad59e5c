"""From a brief to a script, by a language model or by an outliner."""
