//! Text to expression: tokens, then one function per level of the grammar.

use super::{DEPTH_MAX, Expression, Kind, Node, Operator, TEXT_BYTES_MAX, column, column_names};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = ["<=", ">=", "!=", "==", "=", "<", ">", "+", "-", "*", "/", "(", ")", ","];

pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("is {} bytes long; allowed: up to {TEXT_BYTES_MAX}", text.len()));
    }
    let mut parser =
        Parser { tokens: tokens(text)?, at: 0, end: text.chars().count() + 1, depth: 0, columns: Vec::new() };
    let (node, kind) = parser.or()?;
    if parser.tokens.get(parser.at).is_some() {
        return Err(parser.expected("an operator or the end"));
    }
    if kind == Kind::Text {
        return Err("is text; allowed: a number, or a yes or no".to_owned());
    }
    let mut columns = parser.columns;
    columns.sort_unstable();
    columns.dedup();
    Ok(Expression { node, columns, flag: kind == Kind::Flag })
}

/// Each token with the place of its first character, from 1.
fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.chars().count() - rest.chars().count() + 1;
        let taken = if first.is_whitespace() {
            first.len_utf8()
        } else if first.is_ascii_digit() || first == '.' {
            let end =
                rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(rest.len());
            let digits: String =
                rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.' || *c == '_').collect();
            let number = digits
                .replace('_', "")
                .parse::<f64>()
                .map_err(|_| format!("character {at}: {digits:?} is no number"))?;
            tokens.push((Token::Number(number), at));
            end
        } else if first == '\'' || first == '"' {
            let inner = rest.get(1..).unwrap_or_default();
            let end = inner
                .find(first)
                .ok_or_else(|| format!("character {at}: the text that begins here does not end"))?;
            tokens.push((Token::Text(inner.get(..end).unwrap_or_default().to_owned()), at));
            end + 2
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            tokens.push((Token::Word(rest.get(..end).unwrap_or_default().to_owned()), at));
            end
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push((Token::Sign(sign), at));
            sign.len()
        } else {
            return Err(format!(
                "character {at}: {first:?} has no meaning here; allowed: columns, numbers, 'text', {}",
                SIGNS.join(" ")
            ));
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    /// Place behind the last character.
    end: usize,
    depth: usize,
    columns: Vec<&'static str>,
}

type Typed = (Node, Kind);

impl Parser {
    fn or(&mut self) -> Result<Typed, String> {
        let mut left = self.and()?;
        while let Some(at) = self.take_word("or") {
            let right = self.and()?;
            left = both(Operator::Or, "or", at, left, right, &[Kind::Flag], Kind::Flag)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Typed, String> {
        let mut left = self.not()?;
        while let Some(at) = self.take_word("and") {
            let right = self.not()?;
            left = both(Operator::And, "and", at, left, right, &[Kind::Flag], Kind::Flag)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Typed, String> {
        let Some(at) = self.take_word("not") else { return self.comparison() };
        let inner = self.deeper(Self::not)?;
        match inner {
            (node, Kind::Flag) => Ok((Node::Not(Box::new(node)), Kind::Flag)),
            (_, kind) => Err(format!("character {at}: not of {}; allowed: a yes or no", kind.as_str())),
        }
    }

    fn comparison(&mut self) -> Result<Typed, String> {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Unequal};
        let left = self.sum()?;
        let signs = [
            ("==", Equal),
            ("=", Equal),
            ("!=", Unequal),
            ("<=", LessOrEqual),
            (">=", GreaterOrEqual),
            ("<", Less),
            (">", Greater),
        ];
        let Some((sign, operator, at)) = self.take_sign(&signs) else { return Ok(left) };
        let right = self.sum()?;
        let any = [Kind::Number, Kind::Text, Kind::Flag];
        let kinds = if matches!(operator, Equal | Unequal) { &any[..] } else { &any[..1] };
        both(operator, sign, at, left, right, kinds, Kind::Flag)
    }

    fn sum(&mut self) -> Result<Typed, String> {
        let mut left = self.product()?;
        while let Some((sign, operator, at)) =
            self.take_sign(&[("+", Operator::Plus), ("-", Operator::Minus)])
        {
            let right = self.product()?;
            left = both(operator, sign, at, left, right, &[Kind::Number], Kind::Number)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Typed, String> {
        let mut left = self.sign()?;
        while let Some((sign, operator, at)) =
            self.take_sign(&[("*", Operator::Times), ("/", Operator::Over)])
        {
            let right = self.sign()?;
            left = both(operator, sign, at, left, right, &[Kind::Number], Kind::Number)?;
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Typed, String> {
        let Some((_, _, at)) = self.take_sign(&[("-", Operator::Minus)]) else { return self.value() };
        match self.deeper(Self::sign)? {
            (node, Kind::Number) => Ok((Node::Minus(Box::new(node)), Kind::Number)),
            (_, kind) => Err(format!("character {at}: minus {}; allowed: a number", kind.as_str())),
        }
    }

    fn value(&mut self) -> Result<Typed, String> {
        let Some((token, at)) = self.tokens.get(self.at).cloned() else {
            return Err(self.expected("a column, a number or 'text'"));
        };
        self.at += 1;
        match token {
            Token::Number(number) => Ok((Node::Number(number), Kind::Number)),
            Token::Text(text) => Ok((Node::Text(text), Kind::Text)),
            Token::Sign("(") => {
                let inner = self.deeper(Self::or)?;
                self.close()?;
                Ok(inner)
            }
            Token::Word(word) if matches!(word.as_str(), "length" | "contains" | "known") && self.opens() => {
                self.function(&word, at)
            }
            Token::Word(word) => self.column(&word, at),
            Token::Sign(_) => {
                self.at -= 1;
                Err(self.expected("a column, a number or 'text'"))
            }
        }
    }

    fn function(&mut self, name: &str, at: usize) -> Result<Typed, String> {
        let argument = self.deeper(Self::or)?;
        let made = match (name, argument) {
            ("length", (node, Kind::Text)) => (Node::Length(Box::new(node)), Kind::Number),
            ("known", (Node::Column(column), _)) => (Node::Known(column), Kind::Flag),
            ("known", _) => return Err(format!("character {at}: known takes a column")),
            ("contains", (node, Kind::Text)) => {
                self.take_sign(&[(",", Operator::Plus)]).ok_or_else(|| self.expected("a comma"))?;
                match self.value()? {
                    (Node::Text(part), _) => (Node::Contains(Box::new(node), part), Kind::Flag),
                    _ => return Err(format!("character {at}: contains takes a 'text' after its comma")),
                }
            }
            (_, (_, kind)) => {
                return Err(format!("character {at}: {name} of {}; allowed: text", kind.as_str()));
            }
        };
        self.close()?;
        Ok(made)
    }

    fn column(&mut self, word: &str, at: usize) -> Result<Typed, String> {
        match column(word) {
            Some((name, kind)) => {
                self.columns.push(name);
                Ok((Node::Column(name), kind))
            }
            None => {
                let names = column_names(None);
                let similar = weir_document::closest(word, names.iter().copied())
                    .map(|similar| format!(" (did you mean {similar}?)"))
                    .unwrap_or_default();
                Err(format!("character {at}: {word:?} is no column{similar}; allowed: {}", names.join(", ")))
            }
        }
    }

    fn opens(&mut self) -> bool {
        self.take_sign(&[("(", Operator::Plus)]).is_some()
    }

    fn close(&mut self) -> Result<(), String> {
        self.take_sign(&[(")", Operator::Plus)])
            .map(|_| ())
            .ok_or_else(|| self.expected("a closing parenthesis"))
    }

    fn deeper(&mut self, inner: fn(&mut Self) -> Result<Typed, String>) -> Result<Typed, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("is nested more than {DEPTH_MAX} deep"));
        }
        let found = inner(self);
        self.depth -= 1;
        found
    }

    fn take_word(&mut self, wanted: &str) -> Option<usize> {
        match self.tokens.get(self.at) {
            Some((Token::Word(word), at)) if word == wanted => {
                self.at += 1;
                Some(*at)
            }
            _ => None,
        }
    }

    fn take_sign(&mut self, wanted: &[(&'static str, Operator)]) -> Option<(&'static str, Operator, usize)> {
        let Some((Token::Sign(sign), at)) = self.tokens.get(self.at) else { return None };
        let (sign, operator) = wanted.iter().find(|(wanted, _)| wanted == sign)?;
        let taken = (*sign, *operator, *at);
        self.at += 1;
        Some(taken)
    }

    fn expected(&self, what: &str) -> String {
        let place = self.tokens.get(self.at).map_or(self.end, |(_, at)| *at);
        format!("character {place}: expected {what}")
    }
}

/// Two sides of one of `kinds`, and of the same.
fn both(
    operator: Operator,
    sign: &str,
    at: usize,
    (left, of_left): Typed,
    (right, of_right): Typed,
    kinds: &[Kind],
    result: Kind,
) -> Result<Typed, String> {
    if of_left != of_right || !kinds.contains(&of_left) {
        return Err(format!(
            "character {at}: {sign} between {} and {}; allowed: {} on both sides",
            of_left.as_str(),
            of_right.as_str(),
            kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", or ")
        ));
    }
    Ok((Node::Two(operator, Box::new(left), Box::new(right)), result))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use polars::prelude::*;

    use super::*;

    /// The values of an expression over three legs.
    fn values(text: &str) -> Vec<Option<f64>> {
        let frame = df!(
            "latency_ms" => [Some(100.0), Some(2_500.0), None],
            "completion_tokens" => [Some(10_i64), Some(50), Some(7)],
            "status" => [Some(200_i32), Some(200), Some(503)],
            "streamed" => [Some(true), Some(false), None],
            "path" => ["/v1/chat", "/v1/batch", "/ä"],
        )
        .unwrap();
        let expression = Expression::parse(text).unwrap();
        let frame = frame.lazy().select([expression.polars(|_| true).alias("x")]).collect().unwrap();
        frame.column("x").unwrap().f64().unwrap().iter().collect()
    }

    #[test]
    fn expressions_are_computed_as_they_read() {
        let cases: [(&str, [Option<f64>; 3]); 10] = [
            ("latency_ms", [Some(100.0), Some(2500.0), None]),
            ("latency_ms > 2_000", [Some(0.0), Some(1.0), None]),
            ("completion_tokens / (latency_ms / 1000)", [Some(100.0), Some(20.0), None]),
            ("1 + 2 * 3 - -4", [Some(11.0); 3]),
            ("status >= 500 or latency_ms > 2000", [Some(0.0), Some(1.0), Some(1.0)]),
            ("not streamed", [Some(0.0), Some(1.0), None]),
            ("length(path)", [Some(8.0), Some(9.0), Some(2.0)]),
            ("contains(path, 'batch') and status = 200", [Some(0.0), Some(1.0), Some(0.0)]),
            ("known(latency_ms)", [Some(1.0), Some(1.0), Some(0.0)]),
            ("path != \"/v1/chat\"", [Some(0.0), Some(1.0), Some(1.0)]),
        ];
        for (text, expected) in cases {
            let found = values(text);
            let expected: Vec<Option<f64>> = expected.to_vec();
            let expected = if found.len() == 1 { expected.into_iter().take(1).collect() } else { expected };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            "",
            "latency",
            "latency_ms >",
            "latency_ms > 'x'",
            "path + 1",
            "response_text",
            "not status",
            "1 = 2 = 3",
            "(1",
            "1)",
            "'open",
            "1.2.3",
            "length(status)",
            "contains(path)",
            "contains(path, 7)",
            "known(1)",
            "tags",
            "a & b",
            "-path",
        ];
        let said: Vec<String> = cases
            .iter()
            .map(|text| format!("{text}: {}", shortened(&Expression::parse(text).unwrap_err())))
            .collect();
        insta::assert_snapshot!(said.join("\n"));
        assert!(Expression::parse(&"(".repeat(100)).unwrap_err().contains("deep"));
        assert!(Expression::parse(&" ".repeat(3_000)).unwrap_err().contains("bytes"));
    }

    fn shortened(text: &str) -> &str {
        text.split_once("; allowed: sample_id").map_or(text, |(first, _)| first)
    }

    #[test]
    fn a_file_without_the_column_has_no_values() {
        let expression = Expression::parse("longest_gap_ms > 1").unwrap();
        assert_eq!(expression.columns, ["longest_gap_ms"]);
        assert!(expression.flag);
        let frame = df!("path" => ["a", "b"]).unwrap().lazy();
        let frame = frame.select([col("path"), expression.polars(|_| false).alias("x")]).collect().unwrap();
        assert_eq!(frame.column("x").unwrap().null_count(), 2);
    }
}
