//! A few columns of numbers over time, thinned so that they stay small.

use std::collections::BTreeMap;

use serde_json::Value;

/// Points kept; a chart in a report is not wider.
const LONGEST: usize = 400;

/// Columns of one entry per moment; `null` where there was none.
#[derive(Debug)]
pub(super) struct Series {
    /// Every how many moments one is kept.
    stride: usize,
    seen: usize,
    rows: Vec<Row>,
}

/// One moment: seconds since the start, and values in base units.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) time: f64,
    pub(super) gpu_memory: Option<f64>,
    pub(super) gpu_utilization: Option<f64>,
    pub(super) gpu_clock_sm: Option<f64>,
    pub(super) gpu_power: Option<f64>,
    pub(super) gpu_temperature: Option<f64>,
    pub(super) running: Option<f64>,
    pub(super) waiting: Option<f64>,
    pub(super) kv_cache_usage: Option<f64>,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            stride: 1,
            seen: 0,
            rows: Vec::new(),
        }
    }
}

impl Series {
    /// Takes a moment. When there are too many, every second one goes, from here on too.
    pub(super) fn push(&mut self, row: Row) {
        if self.seen.is_multiple_of(self.stride) {
            if self.rows.len() == LONGEST {
                let mut index = 0;
                self.rows.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            self.rows.push(row);
        }
        self.seen += 1;
    }

    /// The columns by name; a column without any value is left out.
    pub(super) fn into_columns(self) -> BTreeMap<String, Value> {
        type Column = fn(&Row) -> Option<f64>;
        let columns: [(&str, Column); 9] = [
            ("time", |row| Some(row.time)),
            ("gpu_memory", |row| row.gpu_memory),
            ("gpu_utilization", |row| row.gpu_utilization),
            ("gpu_clock_sm", |row| row.gpu_clock_sm),
            ("gpu_power", |row| row.gpu_power),
            ("gpu_temperature", |row| row.gpu_temperature),
            ("running", |row| row.running),
            ("waiting", |row| row.waiting),
            ("kv_cache_usage", |row| row.kv_cache_usage),
        ];
        columns
            .into_iter()
            .filter(|(_, column)| {
                self.rows
                    .iter()
                    .any(|row| column(row).is_some_and(f64::is_finite))
            })
            // A number that is not finite becomes `null`.
            .map(|(name, column)| (name.to_owned(), self.rows.iter().map(column).collect()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_stays_small_and_even() {
        let mut series = Series::default();
        for second in 0..5000_u32 {
            series.push(Row {
                time: f64::from(second),
                ..Row::default()
            });
        }
        let columns = series.into_columns();
        let time = columns["time"].as_array().unwrap();
        assert!(time.len() <= LONGEST && time.len() > LONGEST / 4);
        let gaps: Vec<f64> = time
            .windows(2)
            .map(|pair| pair[1].as_f64().unwrap() - pair[0].as_f64().unwrap())
            .collect();
        assert!(gaps.iter().all(|gap| (gap - gaps[0]).abs() < 1e-9));
    }

    #[test]
    fn a_column_without_any_value_is_left_out() {
        let mut series = Series::default();
        series.push(Row {
            running: Some(3.0),
            ..Row::default()
        });
        series.push(Row {
            time: 1.0,
            running: None,
            waiting: Some(f64::NAN),
            ..Row::default()
        });
        insta::assert_snapshot!(serde_json::to_string(&series.into_columns()).unwrap(), @r#"{"running":[3.0,null],"time":[0.0,1.0]}"#);
    }
}
