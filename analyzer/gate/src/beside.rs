//! Gates judged side by side, or one after the other with what was measured before.
//!
//! Invariant: what a gate gives does not depend on which thread judged it, nor on what the thread's memory holds; results are in the
//! order of the work.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use crate::memory::Memory;

/// Threads at most: each has the values of one gate in memory, eight bytes each.
const THREADS_MAX: usize = 4;

/// How gates are judged.
#[derive(Clone, Copy)]
pub(crate) enum Judging<'m> {
    /// One after the other, with a memory that outlives the evaluation.
    With(&'m Memory),
    /// On several threads where there are any, each with a memory of its own for this work.
    Beside,
}

impl Judging<'_> {
    /// What `each` gives for every item.
    pub(crate) fn map<T: Sync, R: Send>(self, items: &[T], each: impl Fn(&T, &Memory) -> R + Sync) -> Vec<R> {
        let in_turn = |memory: &Memory| items.iter().map(|item| each(item, memory)).collect();
        let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(items.len());
        match self {
            Self::With(memory) => in_turn(memory),
            Self::Beside if threads < 2 => in_turn(&Memory::of_one()),
            Self::Beside => beside(items, &each, threads),
        }
    }
}

fn beside<T: Sync, R: Send>(
    items: &[T],
    each: &(impl Fn(&T, &Memory) -> R + Sync),
    threads: usize,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let memory = Memory::of_one();
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return done };
            done.push((place, each(item, &memory)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A panic of another thread is one of this.
        let joined = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(joined).collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_work_however_it_is_done() {
        let items: Vec<usize> = (0..100).collect();
        let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(beside(&items, &|item: &usize, _: &Memory| item * 2, 3), expected);
        for judging in [Judging::With(&Memory::default()), Judging::Beside] {
            assert_eq!(judging.map(&items, |item, _| item * 2), expected);
        }
    }
}
