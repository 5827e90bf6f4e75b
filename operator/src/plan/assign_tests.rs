#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn item(group: u32, home: Option<u32>) -> Item {
    Item { group, home, movable: true, running: home.is_some() }
}

fn loads(homes: &[Option<u32>], bins: usize) -> Vec<usize> {
    let mut loads = vec![0; bins];
    for home in homes.iter().flatten() {
        loads[*home as usize] += 1;
    }
    loads
}

fn moves(items: &[Item], homes: &[Option<u32>]) -> usize {
    items.iter().zip(homes).filter(|(item, home)| item.home.is_some() && item.home != **home).count()
}

/// The fewest moves with which any assignment whose loads differ by at most one can be reached: every bin gives up what
/// it has above its share, and the extra units are best left where they are.
fn fewest_moves(items: &[Item], open: &[bool]) -> usize {
    let count = open.iter().filter(|open| **open).count();
    let (base, extra) = (items.len() / count, items.len() % count);
    let mut loads = vec![0; open.len()];
    let mut stranded = 0;
    for home in items.iter().filter_map(|item| item.home) {
        if open[home as usize] {
            loads[home as usize] += 1;
        } else {
            stranded += 1;
        }
    }
    let above = loads.iter().filter(|load| **load > base).count().min(extra);
    stranded + loads.iter().map(|load| load.saturating_sub(base)).sum::<usize>() - above
}

#[test]
fn tasks_of_one_connector_are_spread_over_the_workers() {
    let items: Vec<Item> = (0..3).flat_map(|group| (0..4).map(move |_| item(group, None))).collect();
    let homes = balance(&items, &[Bin::Open; 4]);
    for group in homes.chunks(4) {
        let distinct: BTreeSet<_> = group.iter().collect();
        assert_eq!(distinct.len(), 4, "{homes:?}");
    }
}

#[test]
fn a_worker_that_joins_gets_its_share_and_nothing_else_moves() {
    let items: Vec<Item> = (0..10).map(|i| item(i / 2, Some(i % 2))).collect();
    let homes = balance(&items, &[Bin::Open; 3]);
    assert_eq!(moves(&items, &homes), 3);
    assert!(items.iter().zip(&homes).all(|(item, home)| item.home == *home || *home == Some(2)));
}

#[test]
fn a_worker_that_leaves_gives_its_units_away_and_nothing_else_moves() {
    let items: Vec<Item> = (0..9).map(|i| item(i, Some(i % 3))).collect();
    let homes = balance(&items, &[Bin::Open, Bin::Closed, Bin::Open]);
    assert_eq!(moves(&items, &homes), 3);
    assert_eq!(loads(&homes, 3), [5, 0, 4]);
}

#[test]
fn an_unreachable_worker_keeps_its_units_and_causes_no_moves() {
    let items: Vec<Item> = (0..9).map(|i| item(i, Some(i % 3))).collect();
    let homes = balance(&items, &[Bin::Open, Bin::Frozen, Bin::Open]);
    assert_eq!(moves(&items, &homes), 0);
}

#[test]
fn what_may_not_move_stays() {
    let items: Vec<Item> = (0..4).map(|i| Item { movable: false, ..item(i, Some(0)) }).collect();
    assert_eq!(moves(&items, &balance(&items, &[Bin::Open; 2])), 0);
}

#[test]
fn filling_moves_nothing() {
    let mut items: Vec<Item> = (0..4).map(|i| item(i, Some(0))).collect();
    items.push(item(4, None));
    let homes = fill(&items, &[Bin::Open; 2], vec![4, 0]);
    assert_eq!(moves(&items, &homes), 0);
    assert_eq!(homes[4], Some(1));
}

#[test]
fn without_workers_nothing_is_placed() {
    assert_eq!(balance(&[item(0, None)], &[Bin::Closed, Bin::Frozen]), [None]);
    assert_eq!(balance(&[item(0, None)], &[]), [None]);
}

prop_compose! {
    fn world()(bins in 1_usize..12)
        (open in proptest::collection::vec(any::<bool>(), bins),
         items in proptest::collection::vec((0_u32..6, proptest::option::of(0..bins as u32)), 0..80))
        -> (Vec<bool>, Vec<Item>) {
        let mut items: Vec<Item> = items.into_iter().map(|(group, home)| item(group, home)).collect();
        items.sort_by_key(|item| item.group);
        let mut open = open;
        open[0] = true;
        (open, items)
    }
}

proptest! {
    #[test]
    fn loads_differ_by_at_most_one_and_moves_are_fewest((open, items) in world()) {
        let bins: Vec<Bin> = open.iter().map(|open| if *open { Bin::Open } else { Bin::Closed }).collect();
        let homes = balance(&items, &bins);
        prop_assert!(homes.iter().all(|home| home.is_some_and(|home| open[home as usize])));
        let loads: Vec<usize> =
            loads(&homes, bins.len()).into_iter().zip(&open).filter(|(_, open)| **open).map(|(load, _)| load).collect();
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
        prop_assert_eq!(moves(&items, &homes), fewest_moves(&items, &open));
    }

    #[test]
    fn a_settled_assignment_is_left_alone((open, items) in world()) {
        let bins: Vec<Bin> = open.iter().map(|open| if *open { Bin::Open } else { Bin::Closed }).collect();
        let homes = balance(&items, &bins);
        let settled: Vec<Item> = items.iter().zip(&homes).map(|(item, home)| Item { home: *home, ..*item }).collect();
        prop_assert_eq!(&balance(&settled, &bins), &homes);
        prop_assert_eq!(&balance(&items, &bins), &homes);
    }

    #[test]
    fn frozen_workers_neither_gain_nor_lose((open, items) in world()) {
        let bins: Vec<Bin> = open.iter().map(|open| if *open { Bin::Open } else { Bin::Frozen }).collect();
        let homes = balance(&items, &bins);
        for (item, home) in items.iter().zip(&homes) {
            for (bin, kind) in bins.iter().enumerate().filter(|(_, kind)| **kind == Bin::Frozen) {
                let _ = kind;
                prop_assert_eq!(item.home == Some(bin as u32), *home == Some(bin as u32));
            }
        }
    }

    #[test]
    fn a_connector_from_nothing_is_spread_as_evenly_as_its_workers_allow(bins in 1_usize..9, tasks in 1_usize..40) {
        let items: Vec<Item> = (0..tasks).map(|_| item(0, None)).collect();
        let loads = loads(&balance(&items, &vec![Bin::Open; bins]), bins);
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
    }
}
