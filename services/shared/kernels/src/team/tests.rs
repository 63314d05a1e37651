#![allow(clippy::unwrap_used)]
use std::sync::Mutex;
use std::time::Duration;

use super::*;

#[test]
fn every_part_is_computed_once_by_teams_of_every_size() {
    for threads in 1..=4 {
        let mut team = Team::new(threads);
        let mut states = vec![Vec::new(); threads];
        for round in 0..200 {
            states.iter_mut().for_each(Vec::clear);
            team.share(&mut states, round, |mine: &mut Vec<usize>, part| mine.push(part));
            let mut all = states.concat();
            all.sort_unstable();
            assert_eq!(all, (0..round).collect::<Vec<_>>(), "{threads} threads");
        }
    }
}

#[test]
fn members_that_fell_asleep_are_woken() {
    let mut team = Team::new(3);
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(30));
        let seen = Mutex::new(Vec::new());
        let gate = std::sync::Barrier::new(3);
        // Each part waits for the two others, so that all three threads must have come.
        team.share(&mut [(); 3], 3, |(), part| {
            gate.wait();
            seen.lock().unwrap().push(part);
        });
        assert_eq!(seen.lock().unwrap().len(), 3);
    }
}

/// A member that falls asleep while the caller wakes other members is woken too.
#[test]
fn members_asleep_late_are_woken_as_well() {
    // There are more members than cores, and a pause about as long as members spin before they
    // sleep. So the caller is often delayed between waking one member and the next, while the first
    // is done and about to sleep again.
    let mut team = Team::new(8);
    let mut count = 0;
    for round in 0..2_000 {
        let done = AtomicUsize::new(0);
        team.share(&mut [(); 8], 8, |(), _| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        count += done.into_inner();
        for _ in 0..(round % 7) * 1_000 {
            std::hint::spin_loop();
        }
    }
    assert_eq!(count, 16_000);
}

#[test]
fn a_panic_is_passed_on_and_the_team_goes_on() {
    let mut team = Team::new(2);
    for bad in 0..8 {
        let result = catch_unwind(AssertUnwindSafe(|| {
            team.share(&mut [(), ()], 8, |(), part| assert_ne!(part, bad, "boom"));
        }));
        assert!(result.is_err());
    }
    let count = AtomicUsize::new(0);
    team.share(&mut [(), ()], 8, |(), _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(count.into_inner(), 8);
}
