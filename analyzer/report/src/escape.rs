//! Captured text made harmless for each medium.
//!
//! Step one is the same everywhere: characters that steer a terminal or turn reading order round (C0 and C1 controls,
//! bidirectional marks, zero-width and tag characters) are written as `\u{202e}`, so that a reader sees that they were
//! there. Step two is the medium's own quoting. Right-to-left letters themselves stay as they are.

use std::fmt::Write as _;

/// What happens to line breaks and tabs, which are harmless where a block of text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Kept: the text is shown as a block.
    Keep,
    /// Each run of white space becomes one space: the text is shown within a line.
    Join,
}

/// Text with every steering character written out.
pub(crate) fn visible(text: &str, lines: Lines) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, lines) {
            ('\r', Lines::Keep) if characters.peek() == Some(&'\n') => {}
            ('\n' | '\t', Lines::Keep) => shown.push(character),
            ('\n' | '\t' | '\r' | ' ', Lines::Join) => {
                if !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            _ if steers(character) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// Text for one line of a terminal.
pub(crate) fn terminal(text: &str) -> String {
    visible(text, Lines::Join).trim().to_owned()
}

/// Text for an HTML element or a quoted attribute.
pub(crate) fn html(text: &str, lines: Lines) -> String {
    entities(&visible(text, lines))
}

/// Text for XML 1.0, within an element or a quoted attribute. Characters that XML forbids are steering ones or
/// non-characters and are written out.
pub(crate) fn xml(text: &str) -> String {
    let shown: String = visible(text, Lines::Keep)
        .chars()
        .map(|character| match character {
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            other => other,
        })
        .collect();
    entities(&shown).replace('\n', "&#10;").replace('\t', "&#9;")
}

/// Text within a line of GitHub-flavoured Markdown, also in a table cell: no formatting, no link, no mention, no HTML.
pub(crate) fn markdown(text: &str) -> String {
    let shown = visible(text, Lines::Join);
    let mut quoted = String::with_capacity(shown.len());
    for character in shown.trim().chars() {
        match character {
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '@' => quoted.push_str("@\u{200b}"), // a mention would notify people
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '|' | '~' | '!' | ':'
            | '$' => {
                quoted.push('\\');
                quoted.push(character);
            }
            other => quoted.push(other),
        }
    }
    quoted.replace("www.", "www\\.")
}

/// A fenced Markdown block that `text` cannot close.
pub(crate) fn markdown_block(text: &str) -> String {
    let shown = visible(text, Lines::Keep);
    let mut longest = 0_usize;
    let mut run = 0_usize;
    for character in shown.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{shown}\n{fence}\n")
}

/// At most `characters_max` characters, with an ellipsis for the rest.
pub(crate) fn shorten(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The five characters that HTML and XML give a meaning.
pub(crate) fn entities(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '"' => quoted.push_str("&quot;"),
            '\'' => quoted.push_str("&#39;"),
            other => quoted.push(other),
        }
    }
    quoted
}

/// Whether a character can move a cursor, hide text or change the order in which it is read.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_reading_order_overrides_are_written_out() {
        assert_eq!(terminal("a\u{1b}[31mred\u{202e}txt\u{7}\nb"), "a\\u{1b}[31mred\\u{202e}txt\\u{7} b");
        assert_eq!(terminal("\u{9b}2J"), "\\u{9b}2J");
    }

    #[test]
    fn right_to_left_letters_stay_as_they_are() {
        assert_eq!(terminal("שלום"), "שלום");
    }

    #[test]
    fn html_text_can_neither_open_a_tag_nor_end_an_attribute() {
        assert_eq!(html("<script>\"'&", Lines::Keep), "&lt;script&gt;&quot;&#39;&amp;");
    }

    #[test]
    fn xml_has_no_character_that_xml_forbids() {
        assert_eq!(xml("a\u{0}b\u{ffff}<\n"), "a\\u{0}b\u{fffd}&lt;&#10;");
    }

    #[test]
    fn markdown_text_stays_in_its_cell_and_links_nowhere() {
        assert_eq!(
            markdown("a|b [x](https://e.example) `c` <b> @you www.e.example\n# h"),
            "a\\|b \\[x\\]\\(https\\://e.example\\) \\`c\\` &lt;b&gt; @\u{200b}you www\\.e.example \\# h"
        );
    }

    #[test]
    fn a_markdown_block_is_not_closed_by_its_own_text() {
        assert_eq!(markdown_block("a\n````\nb"), "`````text\na\n````\nb\n`````\n");
    }

    #[test]
    fn shortened_text_counts_characters_and_not_bytes() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
    }
}
