//! Work side by side: files that are read, series that are put together.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, available_parallelism};

/// Threads at most: each file that is read has its texts in memory.
const THREADS_MAX: usize = 4;

/// What `each` gives for every item, in the order of the items; `told` hears of each that is done, in any order.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(&T) -> R + Sync,
    mut told: impl FnMut(&T),
) -> Vec<R> {
    let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(items.len());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(usize, R)> = Vec::with_capacity(items.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, each) = (sender.clone(), &next, &each);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { break };
                    if sender.send((place, each(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (place, result) in receiver {
            items.get(place).into_iter().for_each(&mut told);
            results.push((place, result));
        }
    });
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}
