//! Reads numbers from the text of the metrics.

/// The sum over all series with this name that have all of `labels` (`outcome="committed"`).
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

/// The smallest bucket bound of a histogram that this share of all observations does not exceed. 0 if there are none.
/// Series are added up.
pub fn quantile(text: &str, name: &str, part: f64) -> f64 {
    let bucket = format!("{name}_bucket");
    let mut bounds: Vec<(f64, &str)> = text
        .lines()
        .filter(|line| line.starts_with(&bucket))
        .filter_map(|line| line.split_once("le=\"")?.1.split_once('"'))
        .map(|(bound, _)| (bound.parse().unwrap_or(f64::INFINITY), bound))
        .collect();
    bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    bounds.dedup();
    let upto = |bound: &str| sum(text, &bucket, &[&format!("le=\"{bound}\"")]);
    let all = upto("+Inf");
    let reached = |(_, bound): &&(f64, &str)| all > 0.0 && upto(bound) >= all * part;
    bounds.iter().find(reached).map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::{quantile, sum};

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let series = |worker: u32, counts: [u32; 3]| {
            let bounds = ["0.001", "0.01", "+Inf"];
            let lines = bounds.iter().zip(counts);
            let line = |(le, count): (&&str, u32)| format!("a_bucket{{le=\"{le}\",worker=\"{worker}\"}} {count}\n");
            lines.map(line).collect::<String>()
        };
        let text = series(0, [8, 9, 9]) + &series(1, [1, 1, 1]);
        assert_eq!(quantile(&text, "a", 0.5), 0.001);
        assert_eq!(quantile(&text, "a", 0.9), 0.001);
        assert_eq!(quantile(&text, "a", 0.99), 0.01);
        assert_eq!(quantile(&text, "a", 1.0), 0.01);
        assert_eq!(quantile("", "a", 0.5), 0.0);
        assert_eq!(quantile(&series(0, [0, 0, 1]), "a", 0.5), f64::INFINITY);
    }

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
