//! Reads a YAML or JSON document into types and reports every problem at once.
