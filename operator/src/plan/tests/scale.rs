//! A large cluster, to look at with `cargo test --release -- --ignored --nocapture a_large_cluster`.

use std::time::Instant;

use super::rig::{Rig, spec};
use crate::plan::ConnectorSpec;

/// Not an assertion: machines differ. 10,000 connectors with 9 tasks each on 1,000 workers.
#[test]
#[ignore = "measures; run by hand in release"]
fn a_large_cluster() {
    let (workers, connectors) = (1000, 10_000);
    let mut rig = Rig::new(workers);
    for index in 0..connectors {
        let key = format!("c{index:05}");
        rig.observe(&key, &ConnectorSpec { name: key.clone(), ..spec(9) });
    }
    let mut longest = std::time::Duration::ZERO;
    for round in 0..400 {
        let begin = Instant::now();
        rig.decide();
        let took = begin.elapsed();
        longest = longest.max(took);
        let begin = Instant::now();
        rig.report_all();
        if round % 40 == 0 {
            println!("round {round}: decided in {took:?}, took in the reports in {:?}", begin.elapsed());
        }
    }
    println!("{} units run; longest decision (with the fake workers' part) {longest:?}", rig.running().len());
    let begin = Instant::now();
    rig.remove_pod("w500");
    let actions = rig.controller.decide(rig.now);
    println!("a worker is gone: {} actions in {:?}", actions.len(), begin.elapsed());
    let begin = Instant::now();
    let actions = rig.controller.decide(rig.now);
    println!("nothing new: {} actions in {:?}", actions.len(), begin.elapsed());
}
