//! Content encodings of captured bodies and of requests: gzip, deflate (with and without zlib's header), br and zstd, undone
//! within limits of size and ratio.
//!
//! What was cut or is damaged decodes as far as it goes, and says so ([`End`]). Limits: [`DecodeLimits`], [`LAYERS_MAX`]
//! encodings on top of each other (each layer's output is bounded for itself), zstd windows of 8 MiB, brotli windows of
//! 16 MiB: a larger window is an end at the limit, so that a few bytes cannot claim memory.
//! Invariant: nothing here panics or takes more memory than the limit and one window, whatever the bytes.

use std::io::{BufReader, ErrorKind, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Encodings that may be applied on top of each other.
pub const LAYERS_MAX: usize = 4;
/// Output that is allowed whatever the ratio, bytes.
pub const RATIO_FREE_BYTES: usize = 1 << 20;

const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const CHUNK_BYTES: usize = 4 << 10;

/// One content encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip` or `x-gzip`.
    Gzip,
    /// `deflate`.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// What decoding may produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Output, bytes.
    pub bytes_max: usize,
    /// Output for each byte of input, once the output is larger than [`RATIO_FREE_BYTES`].
    pub ratio_max: usize,
}

/// How decoding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was decoded.
    Whole,
    /// The input ends early.
    Cut,
    /// The input is damaged, or in another encoding.
    Damaged,
    /// A limit was reached.
    Limit,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The output, as far as it goes.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// Reads a `content-encoding` header: the encodings in the order in which they were applied; `identity` is none.
///
/// # Errors
/// The first word that is not known, or the whole header where it names too many.
pub fn parse_header(header: &str) -> Result<Vec<Encoding>, &str> {
    let mut layers = Vec::new();
    for word in header.split(',').map(str::trim) {
        let encoding = match word.to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "deflate" => Encoding::Deflate,
            "br" => Encoding::Brotli,
            "zstd" => Encoding::Zstd,
            _ => return Err(word),
        };
        layers.push(encoding);
    }
    if layers.len() > LAYERS_MAX { Err(header) } else { Ok(layers) }
}

/// The encoding that the bytes themselves begin like; for bodies without the header.
pub fn sniff(bytes: &[u8]) -> Option<Encoding> {
    match bytes {
        [0x1f, 0x8b, 0x08, ..] => Some(Encoding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
        _ => None,
    }
}

/// Undoes the encodings, the last one first.
pub fn decode(bytes: &[u8], layers: &[Encoding], limits: DecodeLimits) -> Decoded {
    let by_ratio = bytes.len().saturating_mul(limits.ratio_max).max(RATIO_FREE_BYTES);
    let bytes_max = limits.bytes_max.min(by_ratio);
    let mut decoded = Decoded { bytes: Vec::new(), end: End::Whole };
    for (position, layer) in layers.iter().rev().enumerate() {
        let input = if position == 0 { bytes } else { &decoded.bytes };
        let inner = decode_layer(input, *layer, bytes_max);
        // The first thing that went wrong says more than what followed from it.
        let end = if decoded.end == End::Whole { inner.end } else { decoded.end };
        decoded = Decoded { end, ..inner };
    }
    if layers.is_empty() {
        decoded.bytes = bytes.get(..bytes_max).unwrap_or(bytes).to_vec();
        decoded.end = if bytes.len() > bytes_max { End::Limit } else { End::Whole };
    }
    decoded
}

fn decode_layer(input: &[u8], encoding: Encoding, bytes_max: usize) -> Decoded {
    match encoding {
        Encoding::Gzip => pump(MultiGzDecoder::new(input), bytes_max),
        Encoding::Deflate if has_zlib_header(input) => pump(ZlibDecoder::new(input), bytes_max),
        Encoding::Deflate => pump(DeflateDecoder::new(input), bytes_max),
        Encoding::Brotli => brotli(input, bytes_max),
        Encoding::Zstd => {
            let Ok(mut decoder) = zstd::stream::read::Decoder::with_buffer(BufReader::new(input)) else {
                return Decoded { bytes: Vec::new(), end: End::Limit };
            };
            match decoder.window_log_max(ZSTD_WINDOW_LOG_MAX) {
                Ok(()) => pump(decoder, bytes_max),
                Err(_) => Decoded { bytes: Vec::new(), end: End::Limit },
            }
        }
    }
}

/// Deflate means zlib's format, but some send the bare stream.
fn has_zlib_header(input: &[u8]) -> bool {
    matches!(input, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

fn pump(mut from: impl Read, bytes_max: usize) -> Decoded {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; CHUNK_BYTES];
    loop {
        let end = match from.read(&mut chunk) {
            Ok(0) => End::Whole,
            Ok(count) => {
                bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                if bytes.len() <= bytes_max {
                    continue;
                }
                bytes.truncate(bytes_max);
                End::Limit
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => End::Cut,
            // What zstd says of a window beyond the limit; it has no kind for it.
            Err(error) if error.to_string().contains("too much memory") => End::Limit,
            Err(_) => End::Damaged,
        };
        return Decoded { bytes, end };
    }
}

fn brotli(input: &[u8], bytes_max: usize) -> Decoded {
    let alloc = StandardAlloc::default;
    // Strict: the format of RFC 7932, without the extension for windows of up to 1 GiB.
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let (mut available, mut at, mut total) = (input.len(), 0, 0);
    let mut bytes = Vec::new();
    let mut chunk = [0u8; CHUNK_BYTES];
    loop {
        let (mut room, mut written) = (chunk.len(), 0);
        let result = BrotliDecompressStream(
            &mut available,
            &mut at,
            input,
            &mut room,
            &mut written,
            &mut chunk,
            &mut total,
            &mut state,
        );
        bytes.extend_from_slice(chunk.get(..written).unwrap_or_default());
        let end = match result {
            _ if bytes.len() > bytes_max => {
                bytes.truncate(bytes_max);
                End::Limit
            }
            BrotliResult::NeedsMoreOutput => continue,
            // Without more input it still hands out what it holds, a chunk at a time.
            BrotliResult::NeedsMoreInput if written > 0 => continue,
            BrotliResult::ResultSuccess => End::Whole,
            BrotliResult::NeedsMoreInput => End::Cut,
            BrotliResult::ResultFailure => End::Damaged,
        };
        return Decoded { bytes, end };
    }
}
