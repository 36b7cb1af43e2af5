//! The operator's expressions over the columns of a leg: `completion_tokens / (latency_ms / 1000)`,
//! `latency_ms > 2000 and not contains(path, 'batch')`.
//!
//! Grammar, weakest first: `or`, `and`, `not`, one comparison (`= != < <= > >=`), `+ -`, `* /`, a leading `-`, and then a
//! number, a 'text', a column of the sample record, `length(TEXT)` (characters), `contains(TEXT, 'text')`,
//! `known(COLUMN)`, or parentheses. `true` and `false` are columns of no leg: a yes-or-no column stands by itself.
//!
//! The result is a number, or a yes or no that counts as 1 or 0. Where a column has no value the result has none, except
//! in `known`. Types are checked when the expression is read, so that a look fails on damage only. It becomes one polars
//! expression and is computed with the scan.
//!
//! Limits: [`TEXT_BYTES_MAX`] of text, nesting of [`DEPTH_MAX`].

mod parse;

use polars::prelude::{DataType, Expr, LiteralValue, col, lit};
use weir_sample::{Access, Record as _, Sample};

/// Longest expression, bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 2_000;
/// Deepest nesting.
pub(crate) const DEPTH_MAX: usize = 32;

/// What a part of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Flag,
}

/// An expression that was read and fits the columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expression {
    node: Node,
    /// The columns that it needs, sorted.
    pub(crate) columns: Vec<&'static str>,
    /// Whether it is a yes or no.
    pub(crate) flag: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Text(String),
    Column(&'static str),
    Length(Box<Node>),
    Contains(Box<Node>, String),
    Known(&'static str),
    Not(Box<Node>),
    Minus(Box<Node>),
    Two(Operator, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "text",
            Self::Flag => "a yes or no",
        }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong and where, as a fragment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// A column as it is.
    pub(crate) fn of_column(name: &'static str, kind: Kind) -> Self {
        Self { node: Node::Column(name), columns: vec![name], flag: kind == Kind::Flag }
    }

    /// For a scan; nothing where the file lacks one of the columns.
    pub(crate) fn polars(&self, present: impl Fn(&str) -> bool) -> Expr {
        if self.columns.iter().all(|column| present(column)) {
            self.node.polars().cast(DataType::Float64)
        } else {
            lit(LiteralValue::untyped_null()).cast(DataType::Float64)
        }
    }
}

impl Node {
    fn polars(&self) -> Expr {
        match self {
            Self::Number(number) => lit(*number),
            Self::Text(text) => lit(text.as_str()),
            Self::Column("ts") => col("ts").to_physical(),
            Self::Column(name) => col(*name),
            Self::Length(text) => text.polars().str().len_chars(),
            Self::Contains(text, part) => text.polars().str().contains_literal(lit(part.as_str())),
            Self::Known(name) => col(*name).is_not_null(),
            Self::Not(node) => node.polars().not(),
            Self::Minus(node) => lit(0.0) - node.polars(),
            Self::Two(operator, one, other) => operator.polars(one.polars(), other.polars()),
        }
    }
}

impl Operator {
    fn polars(self, one: Expr, other: Expr) -> Expr {
        match self {
            Self::Or => one.or(other),
            Self::And => one.and(other),
            Self::Equal => one.eq(other),
            Self::Unequal => one.neq(other),
            Self::Less => one.lt(other),
            Self::LessOrEqual => one.lt_eq(other),
            Self::Greater => one.gt(other),
            Self::GreaterOrEqual => one.gt_eq(other),
            Self::Plus => one + other,
            Self::Minus => one - other,
            Self::Times => one * other,
            // Whole numbers divide as real ones do.
            Self::Over => one.cast(DataType::Float64) / other,
        }
    }
}

/// The type of a column of the sample record; nothing where there is no such column, or where it cannot be computed with.
pub(crate) fn column(name: &str) -> Option<(&'static str, Kind)> {
    let column = Sample::COLUMNS.iter().find(|column| column.name == name)?;
    let kind = match column.access {
        Access::Text { .. } | Access::Label { .. } | Access::Word { .. } => Kind::Text,
        Access::Integer { .. } | Access::SmallInteger { .. } | Access::Float { .. } => Kind::Number,
        Access::Timestamp { .. } => Kind::Number,
        Access::Boolean { .. } => Kind::Flag,
        Access::Tags { .. } | Access::Vector { .. } => return None,
    };
    Some((column.name, kind))
}

/// Names of the columns that [`column`] knows, of one kind or of all.
pub(crate) fn column_names(kind: Option<Kind>) -> Vec<&'static str> {
    let fits = |name: &&'static str| column(name).is_some_and(|(_, own)| kind.is_none_or(|kind| kind == own));
    Sample::COLUMNS.iter().map(|column| column.name).filter(fits).collect()
}
