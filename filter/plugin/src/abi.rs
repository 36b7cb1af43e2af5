//! The proxy-wasm ABI 0.2.1, as far as the filter needs it: the only place with raw pointers.
//!
//! Why not the usual SDK: its host calls panic on every status that they do not expect, its dispatcher on every context
//! or token that it does not know, and it exports callbacks that the filter does not need, for which the host then
//! enters the VM. Here every status comes back as a value. `proxy_on_done` and `proxy_on_log` are left out on purpose:
//! `proxy_on_delete` follows them in any case.
//!
//! Memory: the host writes results into memory that it asks for while the host call runs. The caller's vector is put
//! into [`SLOT`] for that time, so that the bytes arrive where they are wanted, without a copy and without a malloc of
//! their own when the vector has room.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::{null, null_mut};

/// Status of a host call that worked.
const OK: u32 = 0;
/// Status of a host call for something that is not there.
const NOT_FOUND: u32 = 1;
/// Nothing larger is accepted from the host, which never sends as much.
const RECEIVE_BYTES_MAX: usize = 64 << 20;

thread_local! {
    /// Where the next allocation of the host goes.
    static SLOT: Cell<*mut Vec<u8>> = const { Cell::new(null_mut()) };
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_http_call(
        upstream: *const u8,
        upstream_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Marks the ABI's version.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Runs the constructors of the C library.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() }
}

/// Memory for the host to write into.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if size > RECEIVE_BYTES_MAX {
        return null_mut();
    }
    let slot = SLOT.take();
    if slot.is_null() {
        // Not asked for by a call of ours: given away, never freed. Real hosts do not do this.
        let mut bytes = Vec::<u8>::with_capacity(size);
        let data = bytes.as_mut_ptr();
        std::mem::forget(bytes);
        return data;
    }
    // SAFETY: `receive` put a vector there that outlives the host call, and uses it only through this pointer meanwhile.
    let into = unsafe { &mut *slot };
    into.reserve(size);
    into.spare_capacity_mut().as_mut_ptr().cast()
}

/// Runs a host call that returns bytes, and appends them to the vector.
fn receive(into: &mut Vec<u8>, call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> u32 {
    let mut data: *mut u8 = null_mut();
    let mut size: usize = 0;
    let into: *mut Vec<u8> = into;
    SLOT.set(into);
    let status = call(&mut data, &mut size);
    SLOT.set(null_mut());
    if status != OK || data.is_null() || size == 0 {
        return status;
    }
    // SAFETY: the pointer comes from the exclusive borrow above; nobody else holds it now.
    let into = unsafe { &mut *into };
    let spare = into.spare_capacity_mut();
    if std::ptr::eq(spare.as_ptr().cast::<u8>(), data) && size <= spare.len() {
        let len = into.len() + size;
        // SAFETY: the host wrote `size` bytes behind the vector's end, within its capacity.
        unsafe { into.set_len(len) };
        return OK;
    }
    // Another allocation than ours: not understood, so not read.
    u32::MAX
}

/// Writes a log line.
pub(crate) fn log(level: u32, line: &str) {
    // SAFETY: pointer and size are of a live text.
    unsafe { proxy_log(level, line.as_ptr(), line.len()) };
}

/// Wall clock, nanoseconds since 1970.
pub(crate) fn current_time() -> Result<u64, u32> {
    let mut time = 0;
    // SAFETY: the host writes eight bytes into a live integer.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut time) };
    checked(status, time)
}

/// Period of the tick of the current root.
pub(crate) fn set_tick_period(period_ms: u32) -> Result<(), u32> {
    // SAFETY: no pointers.
    let status = unsafe { proxy_set_tick_period_milliseconds(period_ms) };
    checked(status, ())
}

/// Appends a part of a buffer.
pub(crate) fn buffer(buffer: u32, start: usize, len: usize, into: &mut Vec<u8>) -> Result<(), u32> {
    let status = receive(into, |data, size| {
        // SAFETY: the host writes pointer and size into live variables.
        unsafe { proxy_get_buffer_bytes(buffer, start, len, data, size) }
    });
    checked(status, ())
}

/// Puts these bytes in place of a whole buffer.
pub(crate) fn replace_buffer(buffer: u32, bytes: &[u8]) -> Result<(), u32> {
    // SAFETY: pointer and size are of live bytes.
    let status = unsafe { proxy_set_buffer_bytes(buffer, 0, usize::MAX, bytes.as_ptr(), bytes.len()) };
    checked(status, ())
}

/// Appends a whole header map.
pub(crate) fn header_map(map: u32, into: &mut Vec<u8>) -> Result<(), u32> {
    let status = receive(into, |data, size| {
        // SAFETY: as above.
        unsafe { proxy_get_header_map_pairs(map, data, size) }
    });
    checked(status, ())
}

/// Appends the value of a header; `false` when there is none.
pub(crate) fn header(map: u32, name: &str, into: &mut Vec<u8>) -> Result<bool, u32> {
    let status = receive(into, |data, size| {
        // SAFETY: as above; the name is live.
        unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) }
    });
    found(status)
}

/// Replaces a header.
pub(crate) fn replace_header(map: u32, name: &str, value: &[u8]) -> Result<(), u32> {
    // SAFETY: pointers and sizes are of live bytes.
    let status = unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    checked(status, ())
}

/// Removes a header.
pub(crate) fn remove_header(map: u32, name: &[u8]) -> Result<(), u32> {
    // SAFETY: pointer and size are of live bytes.
    let status = unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    checked(status, ())
}

/// Appends a property; `false` when there is none. The path's parts are separated by zero bytes.
pub(crate) fn property(path: &[u8], into: &mut Vec<u8>) -> Result<bool, u32> {
    let status = receive(into, |data, size| {
        // SAFETY: as above.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    });
    found(status)
}

/// Writes a property. The path's parts are separated by zero bytes.
pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Result<(), u32> {
    // SAFETY: pointers and sizes are of live bytes.
    let status = unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
    checked(status, ())
}

/// Sends a request; the headers are an encoded map. Returns the token.
pub(crate) fn http_call(cluster: &str, headers: &[u8], body: &[u8], timeout_ms: u32) -> Result<u32, u32> {
    let mut token = 0;
    // SAFETY: pointers and sizes are of live bytes; there are no trailers.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            null(),
            0,
            timeout_ms,
            &mut token,
        )
    };
    checked(status, token)
}

/// Defines a metric.
pub(crate) fn define_metric(kind: u32, name: &str) -> Result<u32, u32> {
    let mut id = 0;
    // SAFETY: the name is live, the host writes four bytes into a live integer.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    checked(status, id)
}

/// Adds to a metric.
pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<(), u32> {
    // SAFETY: no pointers.
    let status = unsafe { proxy_increment_metric(id, offset) };
    checked(status, ())
}

/// Sets a metric.
pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), u32> {
    // SAFETY: no pointers.
    let status = unsafe { proxy_record_metric(id, value) };
    checked(status, ())
}

fn checked<T>(status: u32, value: T) -> Result<T, u32> {
    if status == OK { Ok(value) } else { Err(status) }
}

fn found(status: u32) -> Result<bool, u32> {
    match status {
        OK => Ok(true),
        NOT_FOUND => Ok(false),
        other => Err(other),
    }
}
