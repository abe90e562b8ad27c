//! Flink's own REST interface, configuration, memory and version rules: usable alone.
