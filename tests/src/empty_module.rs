//! The smallest proxy-wasm module: every HTTP callback is there and does nothing.
//!
//! It is the floor of what any wasm filter costs in Envoy, assembled by hand so that no SDK is part of the floor.
//! No function imports a host call; configuration is accepted unread.

const I32: u8 = 0x7f;

/// A function type: parameter count (all i32) and whether an i32 comes back.
type Signature = (u8, bool);

/// Callbacks by name, with their type and what they return.
const EXPORTS: [(&str, Signature, u8); 14] = [
    ("proxy_abi_version_0_2_1", (0, false), 0),
    // Any address inside the memory will do: nothing is ever read back.
    ("proxy_on_memory_allocate", (1, true), 16),
    ("proxy_on_context_create", (2, false), 0),
    ("proxy_on_vm_start", (2, true), 1),
    ("proxy_on_configure", (2, true), 1),
    ("proxy_on_request_headers", (3, true), 0),
    ("proxy_on_request_body", (3, true), 0),
    ("proxy_on_request_trailers", (2, true), 0),
    ("proxy_on_response_headers", (3, true), 0),
    ("proxy_on_response_body", (3, true), 0),
    ("proxy_on_response_trailers", (2, true), 0),
    ("proxy_on_done", (1, true), 1),
    ("proxy_on_log", (1, false), 0),
    ("proxy_on_delete", (1, false), 0),
];

/// The module's bytes.
#[must_use]
pub fn empty_module() -> Vec<u8> {
    module_with(|_, returns, value| body(returns, value))
}

/// The same module, but it traps at the first request: what a crashed filter looks like.
#[must_use]
pub fn trapping_module() -> Vec<u8> {
    let trap = vec![3, 0, 0x00, 0x0b]; // no locals, `unreachable`, `end`
    module_with(|name, returns, value| match name {
        "proxy_on_request_headers" => trap.clone(),
        _ => body(returns, value),
    })
}

fn module_with(code_of: impl Fn(&str, bool, u8) -> Vec<u8>) -> Vec<u8> {
    let types = EXPORTS.iter().map(|(_, signature, _)| function_type(*signature));
    let functions = (0..count()).map(|index| vec![index]);
    let exports = EXPORTS.iter().zip(0..).map(|((name, _, _), index)| export(name, 0, index));
    let code = EXPORTS.iter().map(|(name, (_, returns), value)| code_of(name, *returns, *value));
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, types.collect());
    section(&mut module, 3, functions.collect());
    section(&mut module, 5, vec![vec![0x00, 0x02]]); // one memory of two pages
    section(&mut module, 7, exports.chain([export("memory", 2, 0)]).collect());
    section(&mut module, 10, code.collect());
    module
}

fn count() -> u8 {
    u8::try_from(EXPORTS.len()).unwrap_or(u8::MAX)
}

fn function_type((parameters, returns): Signature) -> Vec<u8> {
    let mut bytes = vec![0x60, parameters];
    bytes.extend(std::iter::repeat_n(I32, parameters.into()));
    bytes.extend(if returns { vec![1, I32] } else { vec![0] });
    bytes
}

fn export(name: &str, kind: u8, index: u8) -> Vec<u8> {
    let mut bytes = leb(name.len());
    bytes.extend(name.as_bytes());
    bytes.extend([kind, index]);
    bytes
}

/// No locals; `i32.const value` where something comes back; `end`. Values stay below 64: one signed LEB byte.
fn body(returns: bool, value: u8) -> Vec<u8> {
    let code = if returns { vec![0, 0x41, value, 0x0b] } else { vec![0, 0x0b] };
    [leb(code.len()), code].concat()
}

fn section(module: &mut Vec<u8>, id: u8, items: Vec<Vec<u8>>) {
    let content = [leb(items.len()), items.concat()].concat();
    module.push(id);
    module.extend(leb(content.len()));
    module.extend(content);
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}
