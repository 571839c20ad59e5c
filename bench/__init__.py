"""What Scenemill is measured against, and how: each bench is a package that says what it found in `docs/benchmarks.md`."""
