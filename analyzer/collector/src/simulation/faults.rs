//! Every call of a workload fails once, as a full disk and as a broken one, with and without effect; and at random, between kills
//! and power cuts: no failure is acknowledged, and nothing acknowledged is lost or doubled.
//!
//! The disk itself asserts that a segment gets no write, and no file a sync, after one that failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::disk::{EIO, ENOSPC, Survival};
use super::world::{End, Work, World, random_work};
use super::{Call, Fault, Random};

const CALLS: [Call; 12] = [
    Call::Create,
    Call::CreateNew,
    Call::Write,
    Call::Sync,
    Call::SetLen,
    Call::Read,
    Call::SyncFile,
    Call::List,
    Call::CreateFolder,
    Call::SyncFolder,
    Call::Rename,
    Call::Remove,
];

/// One life after a kill between a write and its sync, so that recovery has something to do, with one fault in it; then the last one and a power cut.
fn run(fault: &Fault) -> Result<bool, String> {
    let mut world = World::new(1, None);
    world.live(&Work::usual(), End::Killed(12));
    world.disk.forget_calls();
    world.disk.inject(std::slice::from_ref(fault));
    world.work(&Work { retries: true, ..Work::usual() }).ok_or("gave up")?;
    let hit = world.disk.was_hit();
    world.disk.power_on(Survival::Nothing);
    world.work(&Work::last()).ok_or("the last start failed")?;
    if !world.open.is_empty() {
        return Err("a retry was not accepted".to_owned());
    }
    world.disk.power_on(Survival::Nothing);
    world.check().map(|()| hit)
}

#[test]
fn no_single_failing_call_acknowledges_or_loses() {
    let mut faults = 0;
    for call in CALLS {
        for nth in 1.. {
            let mut hit = false;
            for (errno, late) in [(EIO, false), (ENOSPC, true)] {
                let fault = Fault::nth(call, nth).with(errno, late);
                let was_hit = run(&fault).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
                hit |= was_hit;
                faults += usize::from(was_hit);
            }
            if !hit {
                assert!(nth > 1 || call == Call::SetLen, "{call:?} is never made");
                break;
            }
        }
    }
    println!("{faults} faults");
    assert!(faults > 100, "{faults}");
}

#[test]
fn faults_between_kills_and_power_cuts_lose_nothing() {
    let schedules = super::number("WEIR_POWER_SCHEDULES", 100);
    for seed in 1..=schedules {
        let mut random = Random(seed ^ 0xfa17);
        let mut world = World::new(seed, None);
        let mut told = Vec::new();
        for _ in 0..1 + random.below(4) {
            let call = CALLS[random.below(CALLS.len())];
            let errno = [EIO, ENOSPC][random.below(2)];
            let fault = Fault::nth(call, 1 + random.below(12)).with(errno, random.once_in(2));
            let end = match random.below(3) {
                0 => End::Killed(random.below(90)),
                1 => End::Cut(random.below(90), Survival::Some),
                _ => End::Cut(usize::MAX, Survival::Nothing),
            };
            world.disk.forget_calls();
            world.disk.inject(std::slice::from_ref(&fault));
            world.live(&random_work(&mut random), end);
            told.push((fault, end));
        }
        world.work(&Work::last()).unwrap();
        world.disk.power_on(Survival::Nothing);
        world.check().unwrap_or_else(|error| panic!("seed {seed}: {error}\n{told:#?}"));
    }
    println!("{schedules} schedules");
}
