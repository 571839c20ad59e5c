"""The state changes of segments, assembly and recovery, which only workers make. Each is one conditional UPDATE."""
