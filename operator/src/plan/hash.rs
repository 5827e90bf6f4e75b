//! Hashes of configurations: the same in every process and version, because a new leader compares its own with those
//! that the workers report.

use std::collections::BTreeMap;

/// Hash of a complete configuration.
pub fn config_hash(config: &BTreeMap<String, String>) -> u64 {
    hash(config.iter())
}

/// Hash of a task's configuration. Leaves out `tasks.max`, which the merged configuration repeats but no task acts on:
/// a change of it adds or removes tasks and must not restart the others.
pub fn task_config_hash(config: &BTreeMap<String, String>) -> u64 {
    hash(config.iter().filter(|(key, _)| key.as_str() != "tasks.max"))
}

/// FNV-1a, 64 bits, over keys and values each followed by a byte that UTF-8 does not contain. Never 0, which stands for
/// "none" in a message.
fn hash<'a>(entries: impl Iterator<Item = (&'a String, &'a String)>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for (key, value) in entries {
        key.bytes().for_each(&mut add);
        add(0xff);
        value.bytes().for_each(&mut add);
        add(0xfe);
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn it_never_changes_between_versions() {
        assert_eq!(config_hash(&map(&[("file", "/in"), ("topic", "t")])), 0x5f7a_140a_ff8e_54c2);
    }

    #[test]
    fn keys_and_values_do_not_run_together() {
        assert_ne!(config_hash(&map(&[("ab", "c")])), config_hash(&map(&[("a", "bc")])));
        assert_ne!(config_hash(&map(&[("a", "b"), ("c", "d")])), config_hash(&map(&[("a", "bc"), ("", "d")])));
    }

    #[test]
    fn the_number_of_tasks_does_not_touch_a_tasks_hash() {
        assert_eq!(
            task_config_hash(&map(&[("a", "b"), ("tasks.max", "2")])),
            task_config_hash(&map(&[("a", "b"), ("tasks.max", "3")]))
        );
    }
}
