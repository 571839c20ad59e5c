"""The rules of segments, assembly and recovery that only workers apply. Each change is one conditional UPDATE."""
