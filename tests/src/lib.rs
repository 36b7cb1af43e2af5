//! End-to-end tests against a real Envoy: the harness.
//!
//! - [`world`]: a proxy with control, candidate and sink around it, and policies to push into it.
//! - [`server`] and [`client`]: HTTP to the byte on both sides of the proxy; [`http`] is what both read and write.
//! - [`sink`]: a collector in memory.
//! - [`traffic`]: requests over several connections; [`generated`]: policies and requests at random.
//! - [`empty_module()`]: the smallest wasm filter, and [`trapping_module()`], one that crashes.
//!
//! Nothing here replaces Envoy: every test runs the real binary, and fails with a hint where there is none.

pub mod client;
mod empty_module;
pub mod generated;
pub mod http;
pub mod random;
pub mod server;
pub mod sink;
pub mod traffic;
pub mod volume;
pub mod world;

pub use empty_module::{empty_module, trapping_module};

/// Runs each of these tests, which take a [`world::Copies`], with copies by mirror and with copies by callout.
#[macro_export]
macro_rules! by_mirror_and_by_callout {
    ($($name:ident),+ $(,)?) => {
        mod by_mirror {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::world::Copies::ByMirror).await;
            })+
        }

        mod by_callout {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::world::Copies::ByCallout).await;
            })+
        }
    };
}
