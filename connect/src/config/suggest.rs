//! "Did you mean": the known name nearest to one that is not known.

use super::ConfigError;

/// The candidate with the smallest edit distance, when it is near enough to be a slip of the finger.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= name.len().max(candidate.len()).div_ceil(3))
        .map(|(_, candidate)| candidate)
}

pub(crate) fn unknown_key<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> ConfigError {
    let hint = match nearest(name, known) {
        Some(known) => format!("did you mean {known}?"),
        None => "remove it, or correct its name.".to_owned(),
    };
    ConfigError::new(name, "UnknownKey", format!("Unknown configuration {name}: {hint}"))
}

/// Damerau's distance (optimal string alignment): insert, delete, replace, swap neighbours.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}
