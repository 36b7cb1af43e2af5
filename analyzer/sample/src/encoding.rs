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
    let bytes_max = output_max(bytes, limits);
    let mut decoded = Decoded { bytes: Vec::new(), end: End::Whole };
    for (position, layer) in layers.iter().rev().enumerate() {
        let input = if position == 0 { bytes } else { &decoded.bytes };
        // Looked through first, so that the output takes its size and no more.
        let (size, _) = run(input, *layer, bytes_max, &mut |_| {});
        let mut output = Vec::with_capacity(size);
        let (_, end) = run(input, *layer, bytes_max, &mut |chunk| output.extend_from_slice(chunk));
        // The first thing that went wrong says more than what followed from it.
        let end = if decoded.end == End::Whole { end } else { decoded.end };
        decoded = Decoded { bytes: output, end };
    }
    if layers.is_empty() {
        decoded.bytes = bytes.get(..bytes_max).unwrap_or(bytes).to_vec();
        decoded.end = if bytes.len() > bytes_max { End::Limit } else { End::Whole };
    }
    decoded
}

/// Undoes one encoding; an output beyond the limits is never held.
///
/// # Errors
/// How it ended, where that is not [`End::Whole`].
pub fn decode_whole(bytes: &[u8], encoding: Encoding, limits: DecodeLimits) -> Result<Vec<u8>, End> {
    let bytes_max = output_max(bytes, limits);
    let (size, end) = run(bytes, encoding, bytes_max, &mut |_| {});
    if end != End::Whole {
        return Err(end);
    }
    let mut output = Vec::with_capacity(size);
    run(bytes, encoding, bytes_max, &mut |chunk| output.extend_from_slice(chunk));
    Ok(output)
}

fn output_max(bytes: &[u8], limits: DecodeLimits) -> usize {
    limits.bytes_max.min(bytes.len().saturating_mul(limits.ratio_max).max(RATIO_FREE_BYTES))
}

/// Hands the output to `each`, chunk by chunk and never more than the limit; its size, and how it ended.
fn run(input: &[u8], encoding: Encoding, bytes_max: usize, each: &mut dyn FnMut(&[u8])) -> (usize, End) {
    match encoding {
        Encoding::Gzip => pump(MultiGzDecoder::new(input), bytes_max, each),
        Encoding::Deflate if has_zlib_header(input) => pump(ZlibDecoder::new(input), bytes_max, each),
        Encoding::Deflate => pump(DeflateDecoder::new(input), bytes_max, each),
        Encoding::Brotli => brotli(input, bytes_max, each),
        Encoding::Zstd => {
            let Ok(mut decoder) = zstd::stream::read::Decoder::with_buffer(BufReader::new(input)) else {
                return (0, End::Limit);
            };
            match decoder.window_log_max(ZSTD_WINDOW_LOG_MAX) {
                Ok(()) => pump(decoder, bytes_max, each),
                Err(_) => (0, End::Limit),
            }
        }
    }
}

/// Deflate means zlib's format, but some send the bare stream.
fn has_zlib_header(input: &[u8]) -> bool {
    matches!(input, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

fn pump(mut from: impl Read, bytes_max: usize, each: &mut dyn FnMut(&[u8])) -> (usize, End) {
    let mut size = 0;
    let mut chunk = [0u8; CHUNK_BYTES];
    loop {
        let end = match from.read(&mut chunk) {
            Ok(0) => End::Whole,
            Ok(count) => match pass_on(chunk.get(..count).unwrap_or_default(), &mut size, bytes_max, each) {
                true => continue,
                false => End::Limit,
            },
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => End::Cut,
            // What zstd says of a window beyond the limit; it has no kind for it.
            Err(error) if error.to_string().contains("too much memory") => End::Limit,
            Err(_) => End::Damaged,
        };
        return (size, end);
    }
}

/// False when the limit was reached.
fn pass_on(chunk: &[u8], size: &mut usize, bytes_max: usize, each: &mut dyn FnMut(&[u8])) -> bool {
    let room = bytes_max.saturating_sub(*size);
    let fits = chunk.get(..room).unwrap_or(chunk);
    each(fits);
    *size += fits.len();
    chunk.len() <= room
}

fn brotli(input: &[u8], bytes_max: usize, each: &mut dyn FnMut(&[u8])) -> (usize, End) {
    let alloc = StandardAlloc::default;
    // Strict: the format of RFC 7932, without the extension for windows of up to 1 GiB.
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let (mut available, mut at, mut total) = (input.len(), 0, 0);
    let mut size = 0;
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
        if !pass_on(chunk.get(..written).unwrap_or_default(), &mut size, bytes_max, each) {
            return (size, End::Limit);
        }
        let end = match result {
            BrotliResult::NeedsMoreOutput => continue,
            // Without more input it still hands out what it holds, a chunk at a time.
            BrotliResult::NeedsMoreInput if written > 0 => continue,
            BrotliResult::ResultSuccess => End::Whole,
            BrotliResult::NeedsMoreInput => End::Cut,
            BrotliResult::ResultFailure => End::Damaged,
        };
        return (size, end);
    }
}
