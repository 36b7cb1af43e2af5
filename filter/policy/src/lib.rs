//! The policy: schema, parser, validator, assignment, sampling decision, header rules, limits.
