//! Log levels: what a log4j2 file, as Strimzi's `logging` of type `external` refers to, says about them.

use std::collections::BTreeMap;

/// What a log4j2 properties file says about levels: `rootLogger.level` and pairs of `logger.x.name`, `logger.x.level`.
pub fn log4j_levels(properties: &str) -> BTreeMap<String, String> {
    let pairs: BTreeMap<&str, &str> = properties
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once(['=', ':']))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let mut levels = BTreeMap::new();
    for (key, value) in &pairs {
        let level = value.split(',').next().unwrap_or_default().trim().to_owned();
        if matches!(*key, "rootLogger.level" | "rootLogger" | "log4j.rootLogger") {
            levels.insert("rootLogger.level".to_owned(), level);
        } else if let Some(logger) = key.strip_prefix("logger.").and_then(|key| key.strip_suffix(".level")) {
            let name = pairs.get(format!("logger.{logger}.name").as_str()).unwrap_or(&logger);
            levels.insert(format!("logger.{name}.level"), level);
        } else if let Some(logger) = key.strip_prefix("log4j.logger.") {
            levels.insert(format!("logger.{logger}.level"), level);
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_from_a_log4j2_file() {
        let levels = log4j_levels(
            "# comment\nrootLogger.level = INFO, STDOUT\nlogger.x.name=org.reflections\nlogger.x.level=ERROR\nappender.a.type=Console\n",
        );
        assert_eq!(
            levels,
            [("rootLogger.level", "INFO"), ("logger.org.reflections.level", "ERROR")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into()
        );
    }
}
