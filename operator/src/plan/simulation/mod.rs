//! The seeded simulation: several operators, workers with real fencing and tmpfs, pods that die, networks that split,
//! leaders that change, connectors that come, change, break and go. The invariants of the design are its assertions.
//!
//! `BARNABAS_SEED=n cargo test -p barnabas-operator simulation` runs one seed and prints what happened in it;
//! `BARNABAS_SEEDS=n` runs that many, from `BARNABAS_FIRST_SEED` on.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod check;
mod rng;
mod worker;
mod world;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use world::{STEP, World};

use super::Sabotage;

/// Virtual milliseconds of faults, and the most that may pass after them until everything is as it should be.
const CHAOS: i64 = 32_000;
const CALM: i64 = 150_000;

/// One run. The number of starts of units, or what went wrong.
fn simulate(seed: u64, sabotage: Sabotage, trace: bool) -> Result<u64, String> {
    let mut world = World::new(seed, sabotage);
    world.ledger.quiet_workers = !world.faults.workers && !world.faults.network;
    if trace {
        world.trace = Some(vec![format!("{:?}", world.faults)]);
    }
    let result = run(&mut world);
    if trace {
        println!("{}", world.trace.unwrap_or_default().join("\n"));
    }
    result.map(|()| world.ledger.starts)
}

fn run(world: &mut World) -> Result<(), String> {
    let broken = |world: &World| world.ledger.failures.first().cloned().map_or(Ok(()), Err);
    for _ in 0..CHAOS / STEP {
        world.step(true);
        broken(world)?;
    }
    world.calm();
    let mut result = Ok(());
    for step in 0..CALM / STEP {
        world.step(false);
        broken(world)?;
        if step % 10 == 9 {
            result = check::converged(world);
            if result.is_ok() {
                break;
            }
        }
    }
    result.map_err(|error| format!("not converged: {error}"))?;
    // And it stays so: but for a worker that has just come up and gets its share, nothing starts any more.
    let (mut starts, mut quiet) = (world.ledger.starts, 0);
    for _ in 0..30_000 / STEP {
        world.step(false);
        broken(world)?;
        quiet = if world.ledger.starts == starts { quiet + STEP } else { 0 };
        starts = world.ledger.starts;
        if quiet >= 7_000 {
            break;
        }
    }
    if quiet < 7_000 {
        return Err("units start after everything had settled".to_owned());
    }
    check::converged(world).map_err(|error| format!("not converged any more: {error}"))
}

/// Runs many seeds on two threads; the failures of the lowest seeds.
fn sweep(seeds: std::ops::Range<u64>, sabotage: Sabotage, enough: usize) -> (u64, Vec<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let (mut starts, mut failures) = (0, Vec::new());
        while failures.len() < enough {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            match simulate(seed, sabotage, false) {
                Ok(count) => starts += count,
                Err(failure) => failures.push((seed, failure)),
            }
        }
        (starts, failures)
    };
    let (first, second) = thread::scope(|scope| {
        let other = scope.spawn(work);
        (work(), other.join().unwrap())
    });
    let mut failures = [first.1, second.1].concat();
    failures.sort();
    (first.0 + second.0, failures)
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn the_invariants_hold_in_a_thousand_worlds() {
    if let Some(seed) = from_env("BARNABAS_SEED") {
        let result = simulate(seed, Sabotage::default(), true);
        assert!(result.is_ok(), "seed {seed}: {result:?}");
        return;
    }
    let seeds = from_env("BARNABAS_SEEDS").unwrap_or(1000);
    let first = from_env("BARNABAS_FIRST_SEED").unwrap_or(0);
    let (starts, failures) = sweep(first..first + seeds, Sabotage::default(), 5);
    let lines: Vec<String> =
        failures.iter().map(|(seed, failure)| format!("BARNABAS_SEED={seed} again: {failure}")).collect();
    assert!(failures.is_empty(), "{}", lines.join("\n"));
    assert!(starts > seeds * 5, "only {starts} units were started: the worlds are too quiet to prove anything");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..5 {
        assert_eq!(simulate(seed, Sabotage::default(), false), simulate(seed, Sabotage::default(), false));
    }
}

#[test]
fn the_simulation_notices_when_the_planner_is_broken() {
    let cases: [(Sabotage, &[&str]); 7] = [
        (Sabotage::GiveWithoutWaiting, &["invariant 1:"]),
        (Sabotage::TrustAnyReport, &["invariant 1:"]),
        (Sabotage::ForgetUnheardPods, &["invariant 1:", "deletion:"]),
        (Sabotage::BalanceAlways, &["invariants 2, 3, 6:", "status: c0"]),
        (Sabotage::AdoptNothing, &["invariants 2, 3, 6:", "status: c0"]),
        (Sabotage::FenceNothing, &["invariant 7:"]),
        (Sabotage::ReplaceInPlace, &["invariant 7:"]),
    ];
    for (sabotage, breaks) in cases {
        let (_, failures) = sweep(0..1000, sabotage, 1);
        let expected = |failure: &str| breaks.iter().any(|broken| failure.starts_with(broken));
        assert!(failures.iter().any(|(_, failure)| expected(failure)), "{sabotage:?}: {failures:?}");
    }
}
