"""From a script to a plan: sources, visuals, narration, segments and their cache keys."""
