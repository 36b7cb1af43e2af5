//! How many messages a request holds, counted without allocating: an empty message takes two bytes on the wire and a hundred in
//! memory, so that a request's size alone bounds nothing.
//!
//! Counted are resources, scopes, records or spans and their events, attributes, values and their items, by the official field numbers; what the
//! decoder skips is not. Malformed bytes, and values nested deeper than [`DEPTH_MAX`], are left to the decoder, which refuses them.

/// Deeper than the decoder goes.
const DEPTH_MAX: usize = 128;

/// A message, by what may be in it.
#[derive(Clone, Copy)]
enum Message {
    Request,
    ResourceItems,
    ScopeItems,
    Item,
    SpanEvent,
    Resource,
    Scope,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
}

/// What the items of a request are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
}

/// Subtracts the messages of a request from the budget; false when it does not suffice.
pub(crate) fn spend(bytes: &[u8], signal: Signal, budget: &mut usize) -> bool {
    walk(bytes, Message::Request, signal, budget, 0)
}

fn walk(mut bytes: &[u8], message: Message, signal: Signal, budget: &mut usize, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return true;
    }
    while let Some((tag, wire, rest)) = field_key(bytes) {
        let Some((content, rest)) = field_content(wire, rest) else { return true };
        bytes = rest;
        let Some((content, child)) = content.zip(child(message, tag, signal)) else { continue };
        match budget.checked_sub(1) {
            Some(left) => *budget = left,
            None => return false,
        }
        if !walk(content, child, signal, budget, depth + 1) {
            return false;
        }
    }
    true
}

fn child(message: Message, tag: u64, signal: Signal) -> Option<Message> {
    let attributes = match signal {
        Signal::Logs => 6,
        Signal::Traces => 9,
    };
    Some(match (message, tag) {
        (Message::Request, 1) => Message::ResourceItems,
        (Message::ResourceItems, 1) => Message::Resource,
        (Message::ResourceItems, 2) => Message::ScopeItems,
        (Message::ScopeItems, 1) => Message::Scope,
        (Message::ScopeItems, 2) => Message::Item,
        (Message::Resource | Message::KeyValueList, 1) | (Message::Scope, 3) => Message::KeyValue,
        (Message::Item, tag) if tag == attributes => Message::KeyValue,
        (Message::Item, 11) if signal == Signal::Traces => Message::SpanEvent,
        (Message::SpanEvent, 3) => Message::KeyValue,
        (Message::Item, 5) if signal == Signal::Logs => Message::AnyValue,
        (Message::KeyValue, 2) | (Message::ArrayValue, 1) => Message::AnyValue,
        (Message::AnyValue, 5) => Message::ArrayValue,
        (Message::AnyValue, 6) => Message::KeyValueList,
        _ => return None,
    })
}

fn field_key(bytes: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (key, rest) = varint(bytes)?;
    Some((key >> 3, key & 7, rest))
}

/// The content of a length-delimited field (or none for other types), and what follows the field.
#[allow(clippy::type_complexity)]
fn field_content(wire: u64, bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    match wire {
        0 => varint(bytes).map(|(_, rest)| (None, rest)),
        1 => bytes.get(8..).map(|rest| (None, rest)),
        5 => bytes.get(4..).map(|rest| (None, rest)),
        2 => {
            let (len, rest) = varint(bytes)?;
            let (content, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            Some((Some(content), rest))
        }
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index as u32).min(63);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    None
}
