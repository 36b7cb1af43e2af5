//! Views of one report: table, JSON, Markdown, HTML.
