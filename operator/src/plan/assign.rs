//! Which worker each unit belongs to: sticky, balanced, with the fewest moves.
//!
//! Pure and deterministic: items in the order of their keys, bins in the order of the workers' names. Every worker ends
//! with ⌊n/w⌋ or ⌈n/w⌉ units; the workers that already have more keep the extra one, so no unit moves that balance does
//! not force to. Among the choices that remain, a connector's units are spread over the workers.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A unit to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Ordinal of its connector: units of one group are spread over the bins.
    pub group: u32,
    /// Where it is now. Not closed: units of closed workers have none.
    pub home: Option<u32>,
    /// Whether it may be moved for balance. A unit that nobody could start elsewhere may not.
    pub movable: bool,
    /// Whether moving it would interrupt something.
    pub running: bool,
}

/// A worker, as far as placing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bin {
    /// Takes and gives units.
    Open,
    /// Cannot be talked to at the moment: keeps what it has.
    Frozen,
    /// Has nothing and gets nothing.
    Closed,
}

/// The home of every item, in their order, with moves for balance; `None` when no bin is open.
///
/// Takes O((items + bins) log bins).
pub fn balance(items: &[Item], bins: &[Bin]) -> Vec<Option<u32>> {
    let mut homes: Vec<Option<u32>> = items
        .iter()
        .map(|item| item.home.filter(|home| bins.get(*home as usize).is_some_and(|bin| *bin != Bin::Closed)))
        .collect();
    let mut loads = vec![0_usize; bins.len()];
    for home in homes.iter().flatten() {
        loads[*home as usize] += 1;
    }
    let quota = Quota::new(&homes, bins, &loads);
    evict(items, bins, &quota, &mut homes, &mut loads);
    place(items, bins, Some(&quota), &mut homes, &mut loads);
    homes
}

/// The home of every item, in their order, without moving any that has one. `items` need only be the units of those
/// connectors that have homeless ones; `loads` are the bins' loads by all units.
pub fn fill(items: &[Item], bins: &[Bin], mut loads: Vec<usize>) -> Vec<Option<u32>> {
    let mut homes: Vec<Option<u32>> = items.iter().map(|item| item.home).collect();
    place(items, bins, None, &mut homes, &mut loads);
    homes
}

/// How many units each open bin may keep and take.
struct Quota {
    /// Every open bin gets at least this many.
    base: usize,
    /// This many open bins get one more.
    extra: usize,
    /// Most that a bin keeps.
    keep: Vec<usize>,
}

impl Quota {
    fn new(homes: &[Option<u32>], bins: &[Bin], loads: &[usize]) -> Self {
        let open: Vec<usize> = (0..bins.len()).filter(|bin| bins[*bin] == Bin::Open).collect();
        if open.is_empty() {
            return Self { base: 0, extra: 0, keep: loads.to_vec() };
        }
        let frozen = bins.iter().filter(|bin| **bin == Bin::Frozen).count();
        let frozen_load: usize = (0..bins.len()).filter(|bin| bins[*bin] == Bin::Frozen).map(|bin| loads[bin]).sum();
        let mine = homes.len() - frozen_load;
        let (base, extra) = (mine / open.len(), mine % open.len());
        let mut keep = loads.to_vec();
        if frozen == 0 {
            // The fullest bins keep the extra units: they are the ones that would otherwise have to give them up.
            let mut fullest = open;
            fullest.sort_by_key(|bin| (std::cmp::Reverse(loads[*bin]), *bin));
            for (rank, bin) in fullest.into_iter().enumerate() {
                keep[bin] = base + usize::from(rank < extra);
            }
        } else {
            // A frozen worker will be back, or its units will come free. Either way, to give up more than what balance
            // over all of them asks for would be undone later.
            let fair = homes.len().div_ceil(open.len() + frozen).max(mine.div_ceil(open.len()));
            for bin in open {
                keep[bin] = fair;
            }
        }
        Self { base, extra, keep }
    }
}

/// Takes from each bin what it may not keep: first what is not running, then units whose connector has most there.
fn evict(items: &[Item], bins: &[Bin], quota: &Quota, homes: &mut [Option<u32>], loads: &mut [usize]) {
    let over: BTreeSet<u32> = (0..bins.len())
        .filter(|bin| bins[*bin] == Bin::Open && loads[*bin] > quota.keep[*bin])
        .filter_map(|bin| u32::try_from(bin).ok())
        .collect();
    if over.is_empty() {
        return;
    }
    let mut inside: BTreeMap<u32, BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
    for (index, home) in homes.iter().enumerate() {
        if let Some(home) = home.filter(|home| over.contains(home) && items[index].movable) {
            inside.entry(home).or_default().entry(items[index].group).or_default().push(index);
        }
    }
    for (bin, mut groups) in inside {
        let mut excess = loads[bin as usize].saturating_sub(quota.keep[bin as usize]);
        let mut take = |index: usize| {
            homes[index] = None;
            loads[bin as usize] -= 1;
        };
        for group in groups.values_mut() {
            group.retain(|index| {
                let idle = excess > 0 && !items[*index].running;
                if idle {
                    take(*index);
                    excess -= 1;
                }
                !idle
            });
        }
        let mut largest: BinaryHeap<(usize, std::cmp::Reverse<u32>)> =
            groups.iter().map(|(group, members)| (members.len(), std::cmp::Reverse(*group))).collect();
        while excess > 0 {
            let Some((size, std::cmp::Reverse(group))) = largest.pop() else { break };
            let Some(index) = groups.get_mut(&group).and_then(Vec::pop) else { continue };
            take(index);
            excess -= 1;
            largest.push((size - 1, std::cmp::Reverse(group)));
        }
    }
}

/// Gives every homeless item to the least loaded bin among those where its connector has fewest.
fn place(items: &[Item], bins: &[Bin], quota: Option<&Quota>, homes: &mut [Option<u32>], loads: &mut [usize]) {
    let mut free: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if homes[index].is_none() {
            free.entry(item.group).or_default().push(index);
        }
    }
    if free.is_empty() {
        return;
    }
    let mut hosts: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(home) = homes[index].filter(|_| free.contains_key(&item.group)) {
            *hosts.entry(item.group).or_default().entry(home).or_default() += 1;
        }
    }
    let mut extra = quota.map_or(usize::MAX, |quota| {
        let taken = loads.iter().zip(bins).filter(|(load, bin)| **bin == Bin::Open && **load > quota.base).count();
        quota.extra.saturating_sub(taken)
    });
    let base = quota.map_or(usize::MAX, |quota| quota.base);
    let mut ring: BTreeSet<(usize, u32)> = (0..bins.len())
        .filter(|bin| bins[*bin] == Bin::Open)
        .filter_map(|bin| Some((loads[bin], u32::try_from(bin).ok()?)))
        .collect();
    for (group, members) in free {
        // Bins by how many of this connector they have; the ring holds those at the present level.
        let mut levels: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (bin, count) in hosts.remove(&group).unwrap_or_default() {
            if ring.remove(&(loads[bin as usize], bin)) {
                levels.entry(count).or_default().push(bin);
            }
        }
        let mut level = 0;
        for index in members {
            let bin = loop {
                // The least loaded is the only candidate: when it is full, all at this level are.
                let room = ring.first().filter(|(load, _)| *load < base || (*load == base && extra > 0)).copied();
                if let Some((load, bin)) = room {
                    ring.remove(&(load, bin));
                    break Some((load, bin));
                }
                let Some((next, bins)) = levels.pop_first() else { break None };
                level = next;
                ring.extend(bins.into_iter().map(|bin| (loads[bin as usize], bin)));
            };
            let Some((load, bin)) = bin else { break };
            if load >= base {
                extra -= 1;
            }
            homes[index] = Some(bin);
            loads[bin as usize] += 1;
            levels.entry(level + 1).or_default().push(bin);
        }
        for bin in levels.into_values().flatten() {
            ring.insert((loads[bin as usize], bin));
        }
    }
}

#[cfg(test)]
#[path = "assign_tests.rs"]
mod tests;
