//! Numbers out of the metrics' text.

/// The sum over all series of this name whose labels hold all of `labels` (`outcome="committed"`).
pub fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let (of, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let wanted = labels.iter().all(|label| of.split(',').any(|one| one == *label));
        wanted.then(|| value.split(' ').next()?.parse::<f64>().ok()).flatten()
    };
    text.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn series_are_added_up() {
        let text =
            "# HELP a x\na_total{task=\"0\",how=\"x\"} 1\na_total{task=\"1\",how=\"y\"} 2.5\nb 7\na_total_more 9\n";
        assert_eq!(sum(text, "a_total", &[]), 3.5);
        assert_eq!(sum(text, "a_total", &["how=\"y\""]), 2.5);
        assert_eq!(sum(text, "b", &[]), 7.0);
        assert_eq!(sum(text, "c", &[]), 0.0);
    }
}
